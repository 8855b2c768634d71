"""Transfers between two processes' worth of ends: who may connect, what arrives, what is sent again."""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
from pathlib import Path

import pytest

from helpers.runs import Clock, assert_holds, commit_step, new_run, trained_run
from helpers.transfers import Cutter, incoming, linked, place
from sojourn.checkpoint.files import record_file
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import CorruptData, NotFound, Refused, StoreError
from sojourn.runlog.errors import Fenced, MovedOn
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import list_runs
from sojourn.store.base import Buffer
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer import fetch
from sojourn.transfer.errors import Interrupted, LinkFailed, PeerFailed
from sojourn.transfer.incoming import Incoming, abandon, kept_offer
from sojourn.transfer.link import Directory, Listener, Peer, dial
from sojourn.transfer.outgoing import Selection
from sojourn.transfer.receive import Dialled, Patience, RemoteSource
from sojourn.transfer.sealed import Broken, Sealed
from sojourn.transfer.throttle import Throttle
from sojourn.transfer.tls import make_identity

MOVE = Selection(moves=True)
COPY = Selection()


def big_run(store: PosixStore, clock: Clock, size: int = 3_000_000) -> RunLog:
    """A run whose job folder has a file of several pieces."""
    log = trained_run(store, clock.env())
    store.put(f"{log.prefix}/job/aa/data.bin", random.Random(1).randbytes(size))
    return log


@pytest.mark.parametrize("listener", ["Source", "Target"])
@pytest.mark.parametrize("streams", [1, 4])
def test_a_copy_arrives_whole(tmp_path: Path, listener: str, streams: int) -> None:
    clock, there = Clock(), PosixStore(tmp_path / "b")
    source = big_run(PosixStore(tmp_path / "a"), clock)
    with linked(source, COPY, listener=listener, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        report = arriving.bring(ends.remote, streams=streams)
        child = arriving.begin()
        ends.remote.done(arriving.recipient)
    assert [commit.step for commit in child.state.commits] == [10, 20, 30]
    assert verify_run(child).ok
    assert_holds(child, 30)
    assert there.read(f"{child.prefix}/job/aa/data.bin") == source.store.read(f"{source.prefix}/job/aa/data.bin")
    assert report.copied_bytes == ends.sender.sent_bytes > 3_000_000
    assert [recipient.run_id for recipient in ends.done] == [child.state.run_id]
    assert child.state.namespace == "team"
    assert not [info.key for info in there.list() if "transfer.json" in info.key]


def test_a_move_is_fenced_on_what_arrived_and_begins_without_the_source(tmp_path: Path) -> None:
    clock, there = Clock(), MemoryStore("target")
    source = big_run(PosixStore(tmp_path), clock)
    with linked(source, MOVE, clock=clock) as ends:
        arriving = incoming(ends, place(there), moves=True, clock=clock)
        arriving.bring(ends.remote)
        assert list_runs(there) == []
        with pytest.raises(Refused, match="decided on"):
            arriving.begin()
        state = arriving.offer.origin.state
        fence = ends.outgoing.fence(
            term=state.term, manifest=arriving.newest, recipient=arriving.recipient, migration="mig"
        )
    digest = source.refresh().fence_digest
    offer = kept_offer(there, arriving.prefix)
    assert offer is not None
    again = Incoming(offer, place(there), moves=True, env=clock.env())
    child = again.begin(fence=digest, manifest=fence.manifest)
    assert again.begin(fence=digest, manifest=fence.manifest).prefix == child.prefix == fence.recipient.run
    assert child.state.parent is not None
    assert (child.state.parent.fence, child.begin_attempt("there")) == (digest, state.term + 1)
    assert verify_run(child).ok
    assert kept_offer(there, arriving.prefix) is None
    with pytest.raises(Fenced):
        source.begin_attempt("here")


def test_a_fence_that_comes_too_late_changes_nothing_and_the_next_round_brings_the_rest(tmp_path: Path) -> None:
    clock, there = Clock(), PosixStore(tmp_path / "b")
    source = big_run(PosixStore(tmp_path / "a"), clock)
    with linked(source, MOVE, clock=clock) as ends:
        first = incoming(ends, place(there), moves=True, clock=clock)
        first.bring(ends.remote)
        commit_step(source, 40)
        with pytest.raises(MovedOn):
            ends.outgoing.fence(term=1, manifest=first.newest, recipient=first.recipient, migration="mig")
        second = incoming(ends, place(there), moves=True, clock=clock)
        assert second.prefix == first.prefix
        report = second.bring(ends.remote)
        assert report.reused_bytes > 3_000_000 > report.copied_bytes > 0
        ends.outgoing.fence(term=1, manifest=second.newest, recipient=second.recipient, migration="mig")
    child = second.begin(fence=source.refresh().fence_digest, manifest=second.newest)
    assert_holds(child, 40)


def test_one_checkpoint_stays_the_one_that_was_first_offered(tmp_path: Path) -> None:
    clock, there = Clock(), MemoryStore("target")
    source = big_run(PosixStore(tmp_path), clock)
    for selector, step in (("best", 10), (20, 20)):
        with linked(source, Selection("Checkpoint", selector=selector), clock=clock) as ends:
            arriving = incoming(ends, place(there), clock=clock)
            arriving.bring(ends.remote)
            assert_holds(arriving.begin(), step)
            ends.outgoing.release()
    with linked(source, Selection("Checkpoint"), clock=clock) as ends:
        ends.remote.offer()
    commit_step(source, 40)
    with linked(source, Selection("Checkpoint"), clock=clock) as ends:
        assert [commit.step for commit in ends.remote.offer().carry.commits] == [30]


def test_an_export_alone(tmp_path: Path) -> None:
    clock, there = Clock(), MemoryStore("target")
    source = big_run(PosixStore(tmp_path), clock)
    with linked(source, Selection("Export"), clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        arriving.bring(ends.remote)
        child = arriving.begin()
    assert (child.state.commits, [export.version for export in child.state.exports]) == ((), [1])
    assert verify_run(child).ok


def test_an_export_that_is_not_there() -> None:
    clock = Clock()
    with (
        linked(new_run(MemoryStore(), clock.env()), Selection("Export", export=7), clock=clock) as ends,
        pytest.raises(CorruptData, match="has no export 7"),
    ):
        ends.remote.offer()


@pytest.mark.parametrize("listener", ["Source", "Target"])
def test_connections_that_are_cut_cost_only_time(tmp_path: Path, listener: str) -> None:
    clock, there, cutter = Clock(), PosixStore(tmp_path / "b"), Cutter(cuts=12, after=700_000)
    source = big_run(PosixStore(tmp_path / "a"), clock, 30_000_000)
    with linked(source, COPY, listener=listener, cutter=cutter, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        arriving.bring(ends.remote, streams=3)
    assert cutter.connections > cutter.cuts
    assert verify_run(arriving.begin()).ok


def test_a_source_that_is_gone_is_reported_and_what_arrived_is_kept(tmp_path: Path) -> None:
    clock, there = Clock(), PosixStore(tmp_path / "b")
    source = big_run(PosixStore(tmp_path / "a"), clock, 40_000_000)
    cutter = Cutter(cuts=1000, after=20_000_000)
    with linked(source, COPY, cutter=cutter, patience=0.2, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        cutter.after = 0
        with pytest.raises(LinkFailed, match="goes on where it stopped"):
            arriving.bring(ends.remote, streams=2)
    assert list_runs(there) == []
    with linked(source, COPY, clock=clock) as ends:
        again = incoming(ends, place(there), clock=clock)
        report = again.bring(ends.remote, streams=2)
    assert again.prefix == arriving.prefix
    assert report.reused_bytes >= 8 << 20
    assert verify_run(again.begin()).ok


def test_a_partial_file_is_never_seen_and_its_damage_is_found(tmp_path: Path) -> None:
    clock, there = Clock(), PosixStore(tmp_path / "b")
    source = big_run(PosixStore(tmp_path / "a"), clock, 20_000_000)

    class Failing:
        """Reads the first two pieces of the large file, then fails."""

        def __init__(self, inner: RemoteSource) -> None:
            self.inner, self.left = inner, 2

        def read(self, key: str, offset: int, length: int) -> Buffer:
            if key.endswith("data.bin"):
                if not self.left:
                    raise Interrupted("stopped")
                self.left -= 1
            return self.inner.read(key, offset, length)

    with linked(source, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        with pytest.raises(Interrupted):
            arriving.bring(Failing(ends.remote), streams=1)
        assert not [info.key for info in there.list() if info.key.endswith("data.bin")]
        # The next file may have been opened as well; nothing of it has come.
        partial = max((tmp_path / "b").rglob(".sojourn-tmp-*"), key=lambda path: path.stat().st_blocks)
        with partial.open("r+b") as file:
            file.seek(5)
            file.write(b"\xff")
        report = arriving.bring(ends.remote, streams=1)
    assert 8 << 20 <= report.reused_bytes < 16 << 20
    assert not list((tmp_path / "b").rglob(".sojourn-tmp-*"))
    assert verify_run(arriving.begin()).ok


def test_what_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    clock, there = Clock(), PosixStore(tmp_path / "b")
    source = big_run(PosixStore(tmp_path / "a"), clock)
    with linked(source, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        arriving.bring(ends.remote)
        with there.open_partial(f"{arriving.prefix}/data/x", 10, "token") as partial:
            partial.write(0, b"x")
        arriving.abandon()
        assert [path for path in (tmp_path / "b").rglob("*") if path.is_file()] == []
        arriving.bring(ends.remote)
        child = arriving.begin()
        abandon(there, child.prefix, clock.env())
    assert verify_run(child).ok


def test_bits_that_rot_at_the_source_are_refused_by_name(tmp_path: Path) -> None:
    clock, here = Clock(), PosixStore(tmp_path / "a")
    source = big_run(here, clock)
    latest = source.state.latest
    assert latest is not None
    key = f"{source.prefix}/{latest.checkpoint}/ckpt.data-00000-of-00002"
    with linked(source, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(MemoryStore("target")), clock=clock)
        here.put(key, bytes(len(here.read(key))))
        with pytest.raises(CorruptData, match=r"ckpt\.data-00000-of-00002, chunk 0"):
            arriving.bring(ends.remote)
        here.put(key, here.read(key)[:-1])
        with pytest.raises(CorruptData, match="ends after"):
            arriving.bring(ends.remote)


def test_a_forged_manifest_is_not_the_logs(tmp_path: Path) -> None:
    clock = Clock()
    source = big_run(PosixStore(tmp_path), clock)
    with linked(source, COPY, clock=clock) as ends:
        offer = ends.remote.offer()
        folders = (offer.folders[0].__class__(offer.folders[0].source, offer.folders[0].target, "{}"),)
        forged = type(offer)(offer.origin, offer.carry, folders)
        with pytest.raises(CorruptData, match="the run's log names"):
            Incoming(forged, place(MemoryStore("t")), moves=False, env=clock.env()).bring(ends.remote)


def test_only_what_is_offered_can_be_read(tmp_path: Path) -> None:
    clock, here = Clock(), PosixStore(tmp_path)
    source = big_run(here, clock)
    here.put("secret", b"secret")
    with linked(source, COPY, clock=clock) as ends:
        ends.remote.offer()
        for key in ("secret", "../secret", f"{source.prefix}/log/00000000000000000000.json"):
            with pytest.raises(PeerFailed, match="not offered"):
                ends.remote.read(key, 0, 6)


def test_other_certificates_are_refused_on_both_sides() -> None:
    mine, other, stranger = make_identity("mine"), make_identity("other"), make_identity("mine")
    served = threading.Event()

    def serve(connection: Sealed) -> bool:
        connection.sendall(b"hello")
        served.set()
        return False

    listener = Listener(other, Directory(Peer(mine.certificate)), serve, host="127.0.0.1")
    here = Peer(other.certificate, "127.0.0.1", listener.port)
    try:
        with dial(mine, here) as connection:
            assert connection.recv(5) == b"hello"
        served.wait(10)
        served.clear()
        with contextlib.suppress(OSError), dial(stranger, here) as connection:
            assert connection.recv(5) == b""
        assert not served.is_set()
        with pytest.raises(ssl.SSLCertVerificationError):
            dial(mine, Peer(stranger.certificate, "127.0.0.1", listener.port))
    finally:
        listener.close()


def test_nobody_is_let_in_before_the_peer_is_known() -> None:
    mine, other = make_identity("mine"), make_identity("other")
    directory = Directory()
    listener = Listener(other, directory, lambda connection: False, host="127.0.0.1")
    try:
        with pytest.raises(OSError):  # noqa: PT011
            dial(mine, Peer(other.certificate, "127.0.0.1", listener.port))
        directory.set(Peer(mine.certificate))
        dial(mine, Peer(other.certificate, "127.0.0.1", listener.port)).close()
    finally:
        listener.close()


def test_connections_to_a_process_that_was_replaced_are_ended_at_once() -> None:
    mine, other, third = make_identity("mine"), make_identity("other"), make_identity("third")
    silent = threading.Event()
    listener = Listener(other, Directory(Peer(mine.certificate)), lambda connection: silent.wait(30), host="127.0.0.1")
    directory = Directory(Peer(other.certificate, "127.0.0.1", listener.port))
    try:
        connection = Dialled(mine, directory).take()
        threading.Timer(0.1, directory.set, [Peer(third.certificate, "127.0.0.1", listener.port)]).start()
        connection.limit(10)
        with contextlib.suppress(Broken):
            assert connection.recv(1) == b""
    finally:
        silent.set()
        listener.close()


def test_a_request_to_stop_ends_a_transfer_that_waits() -> None:
    ended = threading.Event()
    remote = RemoteSource(Dialled(make_identity("x"), Directory()), ended, patience=Patience(60, 0.01))
    threading.Timer(0.1, ended.set).start()
    with pytest.raises(Interrupted):
        remote.offer()


def test_a_full_target_is_refused_before_and_while(tmp_path: Path) -> None:
    class Small(PosixStore):
        room: int | None = 100

        def free_bytes(self) -> int | None:
            return self.room

    clock, there = Clock(), Small(tmp_path / "b")
    source = big_run(PosixStore(tmp_path / "a"), clock)
    with linked(source, COPY, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        with pytest.raises(StoreError, match="100 bytes free"):
            arriving.bring(ends.remote)
        there.room = None
        arriving.bring(ends.remote)


def test_in_one_store_nothing_is_sent(tmp_path: Path) -> None:
    clock, store = Clock(), PosixStore(tmp_path)
    source = trained_run(store, clock.env())
    with linked(source, MOVE, clock=clock) as ends:
        arriving = incoming(ends, place(store), moves=True, clock=clock)
        assert arriving.adopts
        arriving.bring(ends.remote)
        ends.outgoing.fence(term=1, manifest=arriving.newest, recipient=arriving.recipient, migration="m")
        child = arriving.begin(fence=source.refresh().fence_digest, manifest=arriving.newest)
        assert ends.sender.sent_bytes == 0
    assert not list(store.list(f"{child.prefix}/data"))
    assert_holds(child, 30)
    assert verify_run(child).ok
    clock.forward(days=400)
    assert set(source.refresh().pinned(clock.time)) == {commit.checkpoint for commit in child.state.commits}


def test_the_rate_is_kept() -> None:
    now, slept = 0.0, 0.0

    def sleep(seconds: float) -> None:
        nonlocal now, slept
        now, slept = now + seconds, slept + seconds

    throttle = Throttle(1000, lambda: now, sleep)
    for _ in range(50):
        throttle.take(100)
    assert 4.8 <= now <= 5.0
    now += 100
    throttle.take(200)
    assert slept < 5.2
    assert Throttle().slice_bytes > Throttle(1000).slice_bytes


def test_a_limited_sender_is_slow(tmp_path: Path) -> None:
    import time

    clock = Clock()
    source = big_run(PosixStore(tmp_path), clock, 1_000_000)
    with linked(source, COPY, rate=2_000_000, clock=clock) as ends:
        began = time.monotonic()
        incoming(ends, place(MemoryStore("target")), clock=clock).bring(ends.remote)
        assert time.monotonic() - began > 0.3


def test_offers_of_another_version_are_refused(tmp_path: Path) -> None:
    clock = Clock()
    with linked(big_run(PosixStore(tmp_path), clock), COPY, clock=clock) as ends:
        data = ends.remote.offer().to_bytes().replace(b'"origin"', b'"format":2,"origin"', 1)
        with pytest.raises(CorruptData, match="another version"):
            type(ends.remote.offer()).from_bytes(data)
        with pytest.raises(CorruptData, match="not readable"):
            type(ends.remote.offer()).from_bytes(b"[]")


def test_files_without_chunk_digests_are_one_piece() -> None:
    store = MemoryStore()
    store.put("a/b", b"hello")
    record = record_file(store, "a", "b")
    bare = type(record)(record.name, record.size, record.digest, ())
    (piece,) = fetch.pieces(bare, 2)
    assert piece.holds(b"hello")
    assert list(fetch.pieces(type(record)("e", 0, record.digest, ()), 2)) == []


def test_a_run_that_is_not_there_any_more(tmp_path: Path) -> None:
    clock, here = Clock(), PosixStore(tmp_path)
    source = big_run(here, clock)
    with linked(source, Selection("Checkpoint", selector=77), clock=clock) as ends, pytest.raises(CorruptData):
        ends.remote.offer()
    with pytest.raises(NotFound):
        ends.outgoing.offer()
