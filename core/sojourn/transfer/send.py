"""The source's end of a connection: it answers requests for the offer and for ranges of the files that it names.

HTTP/1.1 over a connection that either side may have opened; only what was offered can be read.

    GET  /v1/offer              the offer (offer.py)
    GET  /v1/files/<key>        with Range: a part of an offered file; with Accept-Encoding: sojourn it may come coded
                                (200, Content-Encoding: alone or delta), against the chunk whose digest is in Base
    POST /v1/done               {"runId": ...}: the other side needs nothing more
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import unquote

from sojourn.errors import SojournError, StoreError
from sojourn.runlog.records import Recipient
from sojourn.store.base import Buffer, KeyMissing, Store
from sojourn.transfer.coder import Coder
from sojourn.transfer.link import Directory, dial
from sojourn.transfer.offer import Offer
from sojourn.transfer.reader import Given
from sojourn.transfer.sealed import Sealed
from sojourn.transfer.throttle import Throttle
from sojourn.transfer.tls import Identity

log = logging.getLogger(__name__)

OFFER = "/v1/offer"
FILES = "/v1/files/"
DONE = "/v1/done"
CODED = "sojourn"
BASE = "Base"
_LARGEST_RANGE = 256 << 20
_LARGEST_BODY = 64 << 10
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)


class Origin(Protocol):
    """Makes offers."""

    @property
    def store(self) -> Store:
        """Where the offered files are."""
        ...

    def offer(self) -> Offer:
        """What there is to give now; what it names stays until the transfer is over."""
        ...


class Sender:
    """Serves one transfer on any number of connections.

    `offered` is what was offered last.

    Args:
        done: called when the other side has all it needs, with the child that it began.
    """

    def __init__(self, origin: Origin, throttle: Throttle, done: Callable[[Recipient], None]) -> None:
        self._origin, self._throttle, self._done = origin, throttle, done
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._sent = 0
        self._coder = Coder(origin.store)
        self.offered: Offer | None = None

    @property
    def sent_bytes(self) -> int:
        """Bytes of files sent so far."""
        return self._sent

    def serve(self, connection: Sealed) -> bool:
        """Answer requests until the other side closes the connection. Raises OSError when it is lost."""
        _Handler(connection, self)
        return False

    def offer(self) -> Offer:
        """The offer as of now; from here on its files can be read."""
        with self._lock:
            offer = self._origin.offer()
            for copy in offer.folder_copies(""):
                self._sizes |= {f"{copy.files.folder}/{file.name}": file.size for file in copy.files.files}
            self._coder.offer(offer)
            self.offered = offer
        return offer

    def read(self, key: str, first: int, last: int) -> bytes:
        """Bytes first to last (inclusive) of an offered file. Raises KeyMissing, StoreError."""
        if key not in self._sizes:
            raise KeyMissing(f"{key} was not offered")
        return self._origin.store.read(key, first, last + 1 - first)

    def read_coded(self, key: str, first: int, last: int, base: str) -> Given:
        """The same, coded if that is worth it. Raises KeyMissing, StoreError."""
        return self._coder.code(key, first, self.read(key, first, last), base)

    def send(self, write: Callable[[memoryview], object], data: Buffer) -> None:
        """Write `data` no faster than allowed."""
        view, step = memoryview(data), self._throttle.slice_bytes
        for start in range(0, len(view), step):
            part = view[start : start + step]
            self._throttle.take(len(part))
            write(part)
            with self._lock:
                self._sent += len(part)

    def finish(self, child: Recipient) -> None:
        """The other side is done."""
        self._done(child)


class _Server:
    """What the standard library's handler wants to know about its server: nothing."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, connection: Sealed, sender: Sender) -> None:
        self._sender = sender
        super().__init__(connection, ("", 0), _Server())  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self.path
        if path == OFFER:
            self._answer(lambda: self._reply(HTTPStatus.OK, self._sender.offer().to_bytes()))
        elif path.startswith(FILES):
            self._answer(lambda: self._file(unquote(path.removeprefix(FILES))))
        else:
            self._problem(HTTPStatus.NOT_FOUND, "there is no such resource")

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if self.path != DONE or size > _LARGEST_BODY:
            self.close_connection = True
            self._problem(HTTPStatus.NOT_FOUND, "there is no such resource")
            return
        child = json.loads(self.rfile.read(size))
        self._sender.finish(Recipient(run_id=str(child["runId"]), run=str(child["run"]), store=str(child["store"])))
        self._reply(HTTPStatus.OK, b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def _file(self, key: str) -> None:
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if wanted is None or not 0 <= int(wanted[2]) - int(wanted[1]) < _LARGEST_RANGE:
            self._problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "a range of at most 256 MiB is needed")
            return
        first, last = int(wanted[1]), int(wanted[2])
        if self.headers.get("Accept-Encoding") == CODED:
            given = self._sender.read_coded(key, first, last, self.headers.get(BASE, ""))
        else:
            given = Given(self._sender.read(key, first, last))
        self._head(HTTPStatus.OK if given.coding else HTTPStatus.PARTIAL_CONTENT, len(given.data), given.coding)
        self._sender.send(self.wfile.write, given.data)

    def _answer(self, act: Callable[[], None]) -> None:
        try:
            act()
        except KeyMissing as error:
            self._problem(HTTPStatus.NOT_FOUND, error.message)
        except StoreError as error:
            self._problem(HTTPStatus.SERVICE_UNAVAILABLE, error.message, error.hint)
        except SojournError as error:
            self._problem(HTTPStatus.CONFLICT, error.message, error.hint)

    def _problem(self, status: HTTPStatus, message: str, hint: str = "") -> None:
        self._reply(status, json.dumps({"message": message, "hint": hint}).encode())

    def _reply(self, status: HTTPStatus, body: bytes) -> None:
        self._head(status, len(body))
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, size: int, coding: str = "") -> None:
        self.send_response_only(status)
        if coding:
            self.send_header("Content-Encoding", coding)
        self.send_header("Content-Length", str(size))
        self.end_headers()


class Callers:
    """Threads that dial the peer and serve it on what they get, again and again: for a source that does not listen."""

    def __init__(self, me: Identity, directory: Directory, sender: Sender, ended: threading.Event) -> None:
        self._me, self._directory, self._sender, self._ended = me, directory, sender, ended

    def start(self, count: int) -> None:
        """Keep `count` connections open until `ended` is set."""
        for number in range(count):
            threading.Thread(target=self._call, daemon=True, name=f"caller-{number}").start()

    def _call(self) -> None:
        failures = 0
        while not self._ended.is_set():
            peer = self._directory.peer
            if peer is not None and peer.host:
                try:
                    with self._directory.track(dial(self._me, peer)) as connection:
                        failures = 0
                        self._sender.serve(connection)
                except (OSError, SojournError) as error:
                    log.info("no connection to %s:%d: %s", peer.host, peer.port, error or type(error).__name__)
                    failures += 1
            self._ended.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
