"""The target's end of a connection: it asks for the offer and for pieces of files, over several connections at once.

What was asked on a connection that broke is asked again on another, so cuts and replaced peers cost only time.
"""

from __future__ import annotations

import http.client
import json
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

from sojourn.errors import CorruptData
from sojourn.runlog.records import Recipient
from sojourn.store.base import Buffer
from sojourn.transfer.errors import Interrupted, LinkFailed, PeerFailed
from sojourn.transfer.link import Directory, dial
from sojourn.transfer.offer import Offer
from sojourn.transfer.reader import Coding, Given, coding_of
from sojourn.transfer.send import BASE, CODED, DONE, FILES, OFFER
from sojourn.transfer.throttle import Throttle
from sojourn.transfer.tls import Identity

_READ_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0
_BUSY = HTTPStatus.SERVICE_UNAVAILABLE


class Connections(Protocol):
    """Where connections to the source come from."""

    def take(self) -> ssl.SSLSocket:
        """A new one. Raises OSError if there is none for the moment."""
        ...


class Dialled:
    """The target dials the source."""

    def __init__(self, me: Identity, directory: Directory) -> None:
        self._me, self._directory = me, directory

    def take(self) -> ssl.SSLSocket:
        """See Connections."""
        peer = self._directory.peer
        if peer is None or not peer.host:
            raise OSError("the source's address is not known yet")
        return self._directory.track(dial(self._me, peer))


class Accepted:
    """The source dials the target: give `put` to a Listener."""

    def __init__(self, most: int, wait: float = 2.0) -> None:
        self._waiting: queue.Queue[ssl.SSLSocket] = queue.Queue(most)
        self._wait = wait

    def put(self, connection: ssl.SSLSocket) -> bool:
        """Keep a connection until it is needed; False if there are enough."""
        try:
            self._waiting.put_nowait(connection)
        except queue.Full:
            return False
        return True

    def take(self) -> ssl.SSLSocket:
        """See Connections."""
        try:
            return self._waiting.get(timeout=self._wait)
        except queue.Empty:
            raise OSError("the source has not connected") from None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a source that cannot be reached is waited for, in seconds, and by which clock."""

    seconds: float = _PATIENCE_SECONDS
    pause: float = _PAUSE_SECONDS
    clock: Callable[[], float] = time.monotonic


@dataclass
class _Arrived:
    """A range of a file from `offset`, and how many bytes of it are there.

    `coded` are the headers that allow it to come coded, `coding` says how it did.
    """

    data: memoryview
    offset: int
    coded: Mapping[str, str] = field(default_factory=dict)
    count: int = 0
    coding: Coding = ""

    @property
    def whole(self) -> bool:
        return self.count == len(self.data)

    @property
    def headers(self) -> dict[str, str]:
        """Ask for what is missing; the rest of a plain answer comes plain."""
        missing = f"bytes={self.offset + self.count}-{self.offset + len(self.data) - 1}"
        return {"Range": missing, **({} if self.count else self.coded)}


class RemoteSource:
    """Reads what the source offers. Threads may share it; each request has a connection to itself.

    Args:
        ended: when set, requests raise Interrupted.

    Every method raises LinkFailed when the source was not reached for a while, PeerFailed when it answers that it
    cannot, and Interrupted.
    """

    def __init__(
        self,
        connections: Connections,
        ended: threading.Event,
        throttle: Throttle | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._connections, self._ended = connections, ended
        self._throttle, self._patience = throttle or Throttle(), patience
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._heard = patience.clock()

    def offer(self) -> Offer:
        """What the source has to give now. Raises CorruptData if that is not readable."""
        self._heard = self._patience.clock()
        return Offer.from_bytes(bytes(self._ask("GET", OFFER)))

    def read(self, key: str, offset: int, length: int) -> Buffer:
        """Bytes of an offered file; fewer where it ends early. What came before a cut is not asked for again."""
        return self._read(key, _Arrived(memoryview(bytearray(length)), offset)).data

    def read_coded(self, key: str, offset: int, length: int, base: str) -> Given:
        """The same, coded if the source finds that worth it; `base` is the digest of an older chunk, or ""."""
        asked = {"Accept-Encoding": CODED} | ({BASE: base} if base else {})
        return self._read(key, _Arrived(memoryview(bytearray(length)), offset, asked))

    def done(self, child: Recipient) -> None:
        """Tell the source that nothing more is needed of it."""
        body = json.dumps({"runId": child.run_id, "run": child.run, "store": child.store}).encode()
        self._ask("POST", DONE, body)

    def close(self) -> None:
        """Close connections that wait for requests."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _read(self, key: str, arrived: _Arrived) -> Given:
        coded = self._ask("GET", FILES + quote(key), arrived=arrived)
        return Given(coded, arrived.coding) if arrived.coding else Given(arrived.data[: arrived.count])

    def _ask(self, method: str, path: str, body: bytes | None = None, arrived: _Arrived | None = None) -> Buffer:
        while True:
            if self._ended.is_set():
                raise Interrupted("the transfer was asked to stop")
            try:
                status, answer = self._exchange(method, path, body, arrived)
            except (OSError, http.client.HTTPException) as error:
                if arrived and arrived.whole:
                    return b""
                self._wait(error)
                continue
            self._heard = self._patience.clock()
            if status < 300:
                return answer
            self._refuse(path, status, answer)

    def _exchange(self, method: str, path: str, body: bytes | None, arrived: _Arrived | None) -> tuple[int, Buffer]:
        connection = self._connection()
        try:
            connection.request(method, path, body, arrived.headers if arrived else {})
            response = connection.getresponse()
            if arrived and response.status == HTTPStatus.PARTIAL_CONTENT:
                answer: Buffer = b""
                self._fill(response, arrived)
            else:
                answer = self._body(response)
                if arrived and response.status == HTTPStatus.OK:
                    arrived.coding = coding_of(response.headers.get("Content-Encoding", ""))
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        return response.status, answer

    def _body(self, response: http.client.HTTPResponse) -> Buffer:
        whole = _Arrived(memoryview(bytearray(int(response.headers.get("Content-Length", "0")))), 0)
        self._fill(response, whole)
        return whole.data

    def _fill(self, response: http.client.HTTPResponse, arrived: _Arrived) -> None:
        left = int(response.headers.get("Content-Length", "0"))
        if left > len(arrived.data) - arrived.count:
            raise http.client.HTTPException("the answer is longer than what was asked for")
        while left:
            end = arrived.count + min(left, self._throttle.slice_bytes)
            count = response.readinto(arrived.data[arrived.count : end])
            if not count:
                raise http.client.IncompleteRead(bytes(0), left)
            left -= count
            arrived.count += count
            self._throttle.take(count)
            self._heard = self._patience.clock()
        response.read()

    def _connection(self) -> http.client.HTTPConnection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            taken = self._connections.take()
            taken.settimeout(_READ_SECONDS)
            connection = http.client.HTTPConnection("source")
            connection.sock = taken
            connection.auto_open = 0
            return connection

    def _wait(self, error: Exception) -> None:
        if self._patience.clock() - self._heard > self._patience.seconds:
            raise LinkFailed(
                f"the source was not reached for {self._patience.seconds:.0f} s: {error or type(error).__name__}",
                hint="Look at the other side's mover, its service and the network between; the transfer goes on "
                "where it stopped.",
            ) from error
        self._ended.wait(self._patience.pause)

    def _refuse(self, path: str, status: int, answer: Buffer) -> None:
        try:
            said = json.loads(bytes(answer))
            message, hint = str(said["message"]), str(said.get("hint", ""))
        except (ValueError, LookupError, TypeError):
            message, hint = f"HTTP status {status} for {path}", ""
        if status == HTTPStatus.CONFLICT:
            raise CorruptData(f"the source cannot give this run: {message}", hint=hint)
        raise PeerFailed(f"the source's mover says: {message}", hint=hint)
