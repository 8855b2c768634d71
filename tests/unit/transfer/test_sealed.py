"""Records of a connection: what was sealed arrives, and whoever stands between can neither read nor change it."""

from __future__ import annotations

import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.runs import Clock, assert_holds, trained_run
from helpers.transfers import incoming, linked, place
from sojourn.checkpoint.verify import verify_run
from sojourn.store.posix import PosixStore
from sojourn.transfer import sealed
from sojourn.transfer.link import Directory, Listener, Peer, dial
from sojourn.transfer.outgoing import Selection
from sojourn.transfer.sealed import RECORD_BYTES, Broken, Sealed, seal
from sojourn.transfer.tls import WrongVersion, client_context, make_identity, server_context

KEYS = (b"a" * 32, b"b" * 32)


def ends() -> tuple[Sealed, Sealed]:
    here, there = socket.socketpair()
    return Sealed(here, *KEYS), Sealed(there, *reversed(KEYS))


def records(*contents: bytes) -> list[bytes]:
    """As they go over the wire."""
    wire, end = socket.socketpair()
    sender = Sealed(end, *KEYS)
    found = []
    for content in contents:
        sender.sendall(content)
        found.append(wire.recv(RECORD_BYTES))
    return found


def test_what_is_sent_arrives_both_ways_at_once() -> None:
    here, there = ends()
    sizes = (1, 5, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 3 * RECORD_BYTES + 7)
    sent = {end: random.Random(number).randbytes(sum(sizes)) for number, end in enumerate((here, there))}

    def send(end: Sealed) -> None:
        data = memoryview(sent[end])
        for size in sizes:
            end.sendall(data[:size])
            data = data[size:]
        end.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=send, args=(end,)) for end in (here, there)]
    for thread in threads:
        thread.start()
    got = {there: there.makefile().read(), here: here.makefile().read()}
    for thread in threads:
        thread.join()
    assert (got[there], got[here]) == (sent[here], sent[there])


def test_it_is_read_in_any_portions() -> None:
    here, there = ends()
    here.sendall(b"one two three")
    assert [there.recv(4), there.recv(100)] == [b"one ", b"two three"]
    room = memoryview(bytearray(20))
    here.sendall(b"four")
    assert (there.readinto(room), bytes(room[:4])) == (4, b"four")
    here.close()
    assert there.recv(1) == b""


@pytest.mark.parametrize(
    ("between", "says"),
    [
        (lambda one, two: one[:-1] + bytes([one[-1] ^ 1]) + two, "not what the other side sent"),
        (lambda one, two: two, "not what the other side sent"),
        (lambda one, two: two + one, "not what the other side sent"),
        (lambda one, two: one + one, "not what the other side sent"),
        (lambda one, two: one[:-3], "ended within a record"),
        (lambda one, two: one[:2], "ended within a record"),
        (lambda one, two: struct.pack(">I", 1 << 30) + one, "which nobody sends"),
        (lambda one, two: struct.pack(">I", 3) + one, "which nobody sends"),
        (lambda one, two: struct.pack(">I", len(one) - 5) + one[4:], "not what the other side sent"),
    ],
)
def test_changed_left_out_repeated_and_cut_records_are_refused(
    between: Callable[[bytes, bytes], bytes], says: str
) -> None:
    wire, end = socket.socketpair()
    wire.sendall(between(*records(b"first record", b"second record")))
    wire.close()
    reader = Sealed(end, KEYS[1], KEYS[0])
    with pytest.raises(Broken, match=says):
        reader.readall()


def test_what_was_sent_is_no_answer() -> None:
    """A record that goes back to its sender is not the other side's."""
    wire, end = socket.socketpair()
    here = Sealed(end, *KEYS)
    here.sendall(b"question")
    wire.sendall(wire.recv(1000))
    with pytest.raises(Broken):
        here.recv(10)


def test_silence_ends() -> None:
    here, there = ends()
    there.limit(0.05)
    with pytest.raises(TimeoutError):
        there.recv(1)
    here.close()


def test_the_round_trip_is_the_systems() -> None:
    mine, other = make_identity("mine"), make_identity("other")
    server = Listener(
        other, Directory(Peer(mine.certificate)), lambda end: bool(end.recv(1)) and False, host="127.0.0.1"
    )
    with dial(mine, Peer(other.certificate, "127.0.0.1", server.port)) as end:
        assert 0 < end.round_trip < 1
    server.close()
    here, there = ends()
    assert here.round_trip == there.round_trip == 0


def test_nothing_readable_passes() -> None:
    mine, other = make_identity("mine"), make_identity("other")
    passed = bytearray()
    server = Listener(
        other,
        Directory(Peer(mine.certificate)),
        lambda end: end.sendall(b"secret" * 1000) is not None,
        host="127.0.0.1",
    )
    door = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        client, _ = door.accept()
        upstream = socket.create_connection(("127.0.0.1", server.port))

        def up() -> None:
            while data := client.recv(4096):
                upstream.sendall(data)

        threading.Thread(target=up, daemon=True).start()
        while data := upstream.recv(4096):
            passed.extend(data)
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=listen, daemon=True).start()
    with dial(mine, Peer(other.certificate, "127.0.0.1", door.getsockname()[1])) as end:
        assert end.makefile().read() == b"secret" * 1000
    assert len(passed) > 6000
    assert b"secret" not in passed
    server.close()


def test_a_peer_of_another_version_is_told_apart() -> None:
    mine, other = make_identity("mine"), make_identity("other")
    door = socket.create_server(("127.0.0.1", 0))
    context = server_context(other, mine.certificate)
    context.set_alpn_protocols(["sojourn-other/9"])

    def serve() -> None:
        raw, _ = door.accept()
        with context.wrap_socket(raw, server_side=True) as connection:
            connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(WrongVersion, match="upgrade the older cluster"):
        dial(mine, Peer(other.certificate, "127.0.0.1", door.getsockname()[1]))
    thread.join()


def test_a_key_that_comes_back_is_refused() -> None:
    mine, other = make_identity("mine"), make_identity("other")
    here, there = socket.socketpair()

    def echo() -> None:
        with server_context(other, mine.certificate).wrap_socket(there, server_side=True) as connection:
            connection.sendall(connection.recv(32))

    thread = threading.Thread(target=echo)
    thread.start()
    connection: ssl.SSLSocket = client_context(mine, other.certificate).wrap_socket(here)
    with pytest.raises(Broken, match="our own key"):
        seal(connection)
    connection.close()
    thread.join()


def test_a_key_that_has_sealed_enough_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    source = trained_run(PosixStore(tmp_path / "a"), clock.env())
    source.store.put(f"{source.prefix}/job/aa/data.bin", random.Random(1).randbytes(5_000_000))
    monkeypatch.setattr(sealed, "_MOST_RECORDS", 12)
    opened = []
    monkeypatch.setattr(sealed, "AESGCM", lambda key, made=sealed.AESGCM: opened.append(key) or made(key))
    with linked(source, Selection(), clock=clock) as both:
        arriving = incoming(both, place(PosixStore(tmp_path / "b")), clock=clock)
        arriving.bring(both.remote, streams=2)
        child = arriving.begin()
    # Two keys for each connection, and more connections than there are streams.
    assert len(set(opened)) > 6
    assert verify_run(child).ok
    assert_holds(child, 30)
