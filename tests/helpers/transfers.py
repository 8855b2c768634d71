"""Two ends of a transfer in one process, joined by mutual TLS over loopback, with whatever may go wrong between."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from helpers.runs import Clock
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Recipient
from sojourn.store.base import Store
from sojourn.transfer.incoming import Incoming, Place
from sojourn.transfer.link import Directory, Listener, Peer
from sojourn.transfer.outgoing import Outgoing, Selection
from sojourn.transfer.receive import Accepted, Dialled, Patience, RemoteSource
from sojourn.transfer.send import Callers, Sender
from sojourn.transfer.throttle import Throttle
from sojourn.transfer.tls import make_identity


@dataclass
class Ends:
    """A source that is offered and served, and how its target reads it."""

    outgoing: Outgoing
    sender: Sender
    remote: RemoteSource
    done: list[Recipient] = field(default_factory=list)


def outgoing(log: RunLog, selection: Selection, env: Env) -> Outgoing:
    return Outgoing(log, selection, transfer="t1", address=log.store.uri, store_id=log.store.uri, env=env)


def place(store: Store, name: str = "", namespace: str = "team") -> Place:
    return Place(store, store.uri, store.uri, namespace, name)


@contextmanager
def linked(
    log: RunLog,
    selection: Selection,
    *,
    listener: str = "Source",
    rate: float = 0,
    patience: float = 5,
    cutter: Cutter | None = None,
    clock: Clock | None = None,
) -> Iterator[Ends]:
    """Both ends; `cutter` stands between them."""
    source, target = make_identity("source"), make_identity("target")
    ended = threading.Event()
    done: list[Recipient] = []
    offered = outgoing(log, selection, (clock or Clock()).env())
    sender = Sender(offered, Throttle(rate), done.append)
    with contextlib.ExitStack() as stack:
        stack.callback(ended.set)
        if listener == "Source":
            server = Listener(source, Directory(Peer(target.certificate)), sender.serve, host="127.0.0.1")
            stack.callback(server.close)
            port = cutter.before(server.port) if cutter else server.port
            connections: Dialled | Accepted = Dialled(target, Directory(Peer(source.certificate, "127.0.0.1", port)))
        else:
            connections = Accepted(8)
            server = Listener(target, Directory(Peer(source.certificate)), connections.put, host="127.0.0.1")
            stack.callback(server.close)
            port = cutter.before(server.port) if cutter else server.port
            Callers(source, Directory(Peer(target.certificate, "127.0.0.1", port)), sender, ended).start(4)
        remote = RemoteSource(connections, ended, patience=Patience(patience, 0.01))
        stack.callback(remote.close)
        yield Ends(offered, sender, remote, done)


def incoming(ends: Ends, to: Place, *, moves: bool = False, clock: Clock | None = None) -> Incoming:
    return Incoming(ends.remote.offer(), to, moves=moves, env=(clock or Clock()).env())


class Cutter:
    """A proxy that cuts every connection after so many bytes of the answers, for the first `cuts` connections.

    `given` counts the bytes of answers that passed.
    """

    def __init__(self, cuts: int, after: int) -> None:
        self.cuts, self.after = cuts, after
        self._lock = threading.Lock()
        self.connections = self.given = 0

    def before(self, port: int) -> int:
        """Port that leads to `port`."""
        server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(server, port), daemon=True).start()
        return int(server.getsockname()[1])

    def _accept(self, server: socket.socket, port: int) -> None:
        while True:
            client, _ = server.accept()
            with self._lock:
                self.connections += 1
                left = self.after if self.connections <= self.cuts else 1 << 60
            upstream = socket.create_connection(("127.0.0.1", port))
            for source, sink in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._pump, args=(source, sink, left, sink is client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, left: int, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while left > 0 and (data := source.recv(min(left, 65536))):
                sink.sendall(data)
                left -= len(data)
                if answers:
                    with self._lock:
                        self.given += len(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
