"""The ends of a transfer as processes of their own: ours, and a null pipeline that has everything of it but its logic.

    transfer_ends.py keys FOLDER                             makes both ends' keys
    transfer_ends.py serve ours|null KEYS FOLDER             prints its port, serves until its input ends
    transfer_ends.py fetch ours|null KEYS FOLDER HOST PORT STREAMS [LIMIT]    prints what it took as JSON

The null pipeline reads files, sends them over as many sealed connections, writes them and calls fsync; it
digests nothing and checks nothing.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.runs import list_runs
from sojourn.store.posix import PosixStore
from sojourn.transfer.incoming import Incoming, Place
from sojourn.transfer.link import Directory, Listener, Peer, dial
from sojourn.transfer.outgoing import Outgoing, Selection
from sojourn.transfer.receive import Dialled, RemoteSource
from sojourn.transfer.sealed import Sealed
from sojourn.transfer.send import Sender
from sojourn.transfer.throttle import Throttle
from sojourn.transfer.tls import Identity, make_identity

PIECE = 8 << 20


def main(verb: str, *arguments: str) -> None:
    if verb == "keys":
        keys = [make_identity(name) for name in ("source", "target")]
        told = [{"certificate": key.certificate, "key": key.key.decode()} for key in keys]
        Path(arguments[0]).write_text(json.dumps(told))
        return
    side, file, folder, *rest = arguments
    source, target = (Identity(key["certificate"], key["key"].encode()) for key in json.loads(Path(file).read_text()))
    if verb == "serve":
        serve(side, Path(folder), source, target.certificate)
        return
    peer = Peer(source.certificate, rest[0], int(rest[1]))
    began, cpu = time.perf_counter(), time.process_time()
    told_of = (fetch_run if side == "ours" else fetch_files)(Path(folder), target, peer, int(rest[2]))
    took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    print(json.dumps({**took, **told_of}))


def serve(side: str, folder: Path, me: Identity, peer: str) -> None:
    """Listen on all addresses."""
    if side == "ours":
        store = PosixStore(folder)
        log = RunLog.open(store, next(iter(list_runs(store))).prefix)
        offered = Outgoing(log, Selection(), transfer="bench", address=store.uri, store_id="source", env=Env())
        take = Sender(offered, Throttle(), lambda child: None).serve
    else:
        take = Files(folder).serve
    print(Listener(me, Directory(Peer(peer)), take, host="0.0.0.0").port, flush=True)
    sys.stdin.read()


class Files:
    """Sends a share of the files on each connection: its number and the number of connections come first."""

    def __init__(self, folder: Path) -> None:
        self._files = data_files(folder)

    def serve(self, connection: Sealed) -> bool:
        number, streams = connection.recv(2)
        view = memoryview(bytearray(PIECE))
        for path in self._files[number::streams]:
            connection.sendall(path.stat().st_size.to_bytes(8, "big"))
            with path.open("rb", buffering=0) as file:
                while count := file.readinto(view):
                    connection.sendall(view[:count])
        connection.sendall(bytes(8))
        connection.shutdown(socket.SHUT_WR)
        return False


def data_files(folder: Path) -> list[Path]:
    """The shards below a store's folder."""
    return sorted(folder.rglob("ckpt.data-*"))


def fetch_run(folder: Path, me: Identity, peer: Peer, streams: int) -> dict[str, Any]:
    """Ours: bring and verify; the run is begun as well."""
    target = PosixStore(folder)
    remote = RemoteSource(Dialled(me, Directory(peer)), threading.Event())
    arriving = Incoming(remote.offer(), Place(target, target.uri, "target", "bench"), moves=False, env=Env())
    report = arriving.bring(remote, streams=streams)
    arriving.begin()
    remote.close()
    return {"sent": report.copied_bytes, "reused": report.reused_bytes}


def fetch_files(folder: Path, me: Identity, peer: Peer, streams: int) -> dict[str, Any]:
    """The null pipeline's."""
    folder.mkdir(parents=True)

    def fetch(number: int) -> int:
        connection = dial(me, peer)
        connection.sendall(bytes([number, streams]))
        view, total, count = memoryview(bytearray(PIECE)), 0, 0
        while size := int.from_bytes(exactly(connection, view[:8]), "big"):
            descriptor = os.open(folder / f"{number}-{count}", os.O_WRONLY | os.O_CREAT)
            total, count = total + size, count + 1
            while size:
                part = exactly(connection, view[: min(PIECE, size)])
                os.write(descriptor, part)
                size -= len(part)
            os.fsync(descriptor)
            os.close(descriptor)
        connection.close()
        return total

    with ThreadPoolExecutor(streams) as pool:
        return {"sent": sum(pool.map(fetch, range(streams)))}


def exactly(connection: Sealed, view: memoryview) -> memoryview:
    """Fill `view`."""
    left = view
    while left:
        count = connection.readinto(left)
        if not count:
            raise EOFError("the source closed the connection")
        left = left[count:]
    return view


if __name__ == "__main__":
    main(*sys.argv[1:])
