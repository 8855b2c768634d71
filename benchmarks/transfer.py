"""How fast a run is carried between two processes, against plain pipelines of the same bytes over loopback.

    python benchmarks/transfer.py [--folder DIR] [--megabytes 512] [--rounds 3] [--streams 8]

`plain` reads a file, sends it over one TCP connection and writes it with fsync; `tls` does so over TLS. `ours` also
verifies every chunk as it arrives and reads everything back. Rounds alternate; medians and ratios are printed as JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import socket
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Created
from sojourn.runlog.runs import create_run
from sojourn.store.posix import PosixStore
from sojourn.transfer.incoming import Incoming, Place
from sojourn.transfer.link import Directory, Listener, Peer, dial
from sojourn.transfer.outgoing import Outgoing, Selection
from sojourn.transfer.receive import Dialled, RemoteSource
from sojourn.transfer.send import Sender
from sojourn.transfer.throttle import Throttle
from sojourn.transfer.tls import Identity, make_identity

PIECE = 1 << 20
FILES = 4


def serve_run(store: str, prefix: str, me: Identity, peer: str, pipe: Connection) -> None:
    """The sending process of `ours`, until it is told to end."""
    log = RunLog.open(PosixStore(store), prefix)
    outgoing = Outgoing(log, Selection(), transfer="bench", address=store, store_id="source", env=Env())
    sender = Sender(outgoing, Throttle(), lambda child: None)
    pipe.send(Listener(me, Directory(Peer(peer)), sender.serve, host="127.0.0.1").port)
    pipe.recv()
    pipe.send(time.process_time())


def serve_file(path: str, me: Identity, peer: str, pipe: Connection) -> None:
    """The sending process of `plain` (no peer) and `tls`."""
    done = threading.Event()

    def send(connection: socket.socket) -> bool:
        view = memoryview(bytearray(PIECE))
        with Path(path).open("rb", buffering=0) as file:
            while count := file.readinto(view):
                connection.sendall(view[:count])
        connection.shutdown(socket.SHUT_WR)
        done.set()
        return False

    if peer:
        pipe.send(Listener(me, Directory(Peer(peer)), send, host="127.0.0.1").port)
    else:
        server = socket.create_server(("127.0.0.1", 0))
        pipe.send(server.getsockname()[1])
        send(server.accept()[0])
    done.wait()
    pipe.recv()
    pipe.send(time.process_time())


def fetch_run(folder: Path, me: Identity, peer: Peer, streams: int) -> None:
    target = PosixStore(folder)
    remote = RemoteSource(Dialled(me, Directory(peer)), threading.Event())
    to = Place(target, target.uri, "target", "bench")
    arriving = Incoming(remote.offer(), to, moves=False, env=Env())
    arriving.bring(remote, streams=streams)
    remote.close()


def fetch_file(folder: Path, me: Identity, peer: Peer, streams: int) -> None:
    address = (peer.host, peer.port)
    connection: Any = dial(me, peer) if peer.certificate else socket.create_connection(address)
    folder.mkdir()
    view = memoryview(bytearray(PIECE))
    descriptor = os.open(folder / "file", os.O_WRONLY | os.O_CREAT)
    while count := _receive(connection, view):
        os.write(descriptor, view[:count])
    os.fsync(descriptor)
    os.close(descriptor)


def _receive(connection: Any, view: memoryview) -> int:
    try:
        return int(connection.recv_into(view))
    except ssl.SSLEOFError:
        return 0


def measure(
    work: Callable[..., None],
    serve: Callable[..., None],
    source: tuple[str, ...],
    folder: Path,
    tls: bool,
    streams: int,
) -> dict[str, float]:
    """Seconds from the first request to durable bytes, and processor seconds of both sides."""
    here, there = make_identity("source"), make_identity("target")
    ours, theirs = multiprocessing.Pipe()
    arguments = (*source, here, there.certificate if tls else "", theirs)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=arguments)
    process.start()
    peer = Peer(here.certificate if tls else "", "127.0.0.1", ours.recv())
    began, cpu = time.perf_counter(), time.process_time()
    work(folder, there, peer, streams)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    ours.send(None)
    cpu += ours.recv()
    process.join()
    shutil.rmtree(folder)
    return {"seconds": seconds, "cpu": cpu}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        source = PosixStore(folder / "source")
        log = create_run(source, Created(run_id="00000000-0000-0000-0000-000000000001", name="bench"))
        for number in range(FILES):
            source.put(f"{log.prefix}/job/{number}.bin", os.urandom((args.megabytes << 20) // FILES))
        whole = folder / "whole"
        with whole.open("wb") as out:
            for info in source.list(f"{log.prefix}/job"):
                out.write(source.read(info.key))
        sides: dict[str, tuple[Any, ...]] = {
            "plain": (fetch_file, serve_file, (str(whole),), folder / "plain", False),
            "tls": (fetch_file, serve_file, (str(whole),), folder / "tls", True),
            "ours": (fetch_run, serve_run, (str(source.root), log.prefix), folder / "ours", True),
        }
        rounds: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side, arguments in sides.items():
                rounds[side].append(measure(*arguments, args.streams))
    print(json.dumps(report(rounds, args.megabytes), indent=2))


def report(rounds: dict[str, list[dict[str, float]]], megabytes: int) -> dict[str, Any]:
    """MiB/s and processor seconds per GiB of each side (medians), and ours against the others."""
    seconds = {side: statistics.median(lap["seconds"] for lap in laps) for side, laps in rounds.items()}
    cpu = {side: statistics.median(lap["cpu"] for lap in laps) for side, laps in rounds.items()}
    return {
        "MiB/s": {side: round(megabytes / value, 1) for side, value in seconds.items()},
        "cpu seconds per GiB": {side: round(value * 1024 / megabytes, 2) for side, value in cpu.items()},
        "ours / plain": round(seconds["ours"] / seconds["plain"], 2),
        "ours / tls": round(seconds["ours"] / seconds["tls"], 2),
    }


if __name__ == "__main__":
    main()
