"""The target's end of a connection: it asks for the offer and for pieces of files, over several connections at once.

What was asked on a connection that broke is asked again on another, so cuts and replaced peers cost only time.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

from blake3 import blake3

from sojourn.errors import CorruptData
from sojourn.runlog.records import Recipient
from sojourn.store.base import Buffer
from sojourn.transfer.errors import Interrupted, LinkFailed, PeerFailed
from sojourn.transfer.link import Directory, dial
from sojourn.transfer.offer import Offer
from sojourn.transfer.reader import Coding, Given, Want, coding_of, nothing
from sojourn.transfer.sealed import Sealed
from sojourn.transfer.send import BASE, CODED, DONE, FILES, OFFER
from sojourn.transfer.throttle import Throttle
from sojourn.transfer.tls import Identity

_READ_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0
_LONGEST_LINE = 1024
# The last quarter of a chunk; more where that is less than comes in two round trips.
_LAST_PART = 4
_ENOUGH = 1 << 20


class Connections(Protocol):
    """Where connections to the source come from."""

    def take(self) -> Sealed:
        """A new one. Raises OSError if there is none for the moment."""
        ...


class Dialled:
    """The target dials the source."""

    def __init__(self, me: Identity, directory: Directory) -> None:
        self._me, self._directory = me, directory

    def take(self) -> Sealed:
        """See Connections."""
        peer = self._directory.peer
        if peer is None or not peer.host:
            raise OSError("the source's address is not known yet")
        return self._directory.track(dial(self._me, peer))


class Accepted:
    """The source dials the target: give `put` to a Listener."""

    def __init__(self, most: int, wait: float = 2.0) -> None:
        self._waiting: queue.Queue[Sealed] = queue.Queue(most)
        self._wait = wait

    def put(self, connection: Sealed) -> bool:
        """Keep a connection until it is needed; False if there are enough."""
        try:
            self._waiting.put_nowait(connection)
        except queue.Full:
            return False
        return True

    def take(self) -> Sealed:
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
    """A range of `length` bytes of a file from `offset`, and how many bytes of it are there.

    `coded` are the headers that allow it to come coded, `coding` says how it did.
    """

    length: int
    offset: int
    coded: Mapping[str, str] = field(default_factory=dict)
    count: int = 0
    coding: Coding = ""
    room: memoryview = field(default_factory=lambda: memoryview(b""))
    digest: blake3 = field(default_factory=blake3)

    @property
    def data(self) -> memoryview:
        """What is there."""
        return self.room[: self.count]

    @property
    def whole(self) -> bool:
        return self.count == self.length

    @property
    def headers(self) -> dict[str, str]:
        """Ask for what is missing; the rest of a plain answer comes plain."""
        missing = f"bytes={self.offset + self.count}-{self.offset + self.length - 1}"
        return {"Range": missing, **({} if self.count else self.coded)}


class _Pace:
    """How fast an answer comes, and so how far ahead of its end the next one has to be asked for.

    Args:
        count: bytes that are there already.
        seconds: how long it takes until an answer begins.
    """

    def __init__(self, count: int, seconds: float) -> None:
        self._count, self._seconds = count, seconds
        self._began = time.perf_counter()

    def ahead(self, count: int) -> float:
        """Bytes that come meanwhile, now that there are `count`."""
        came, passed = count - self._count, time.perf_counter() - self._began
        # What the system had in store came faster than the link is.
        return came / passed * self._seconds if came >= _ENOUGH and passed else 0


def _new_room(length: int) -> memoryview:
    return memoryview(bytearray(length))


class _Line:
    """A connection and the requests on it that are not answered yet. One thread uses it at a time.

    A line that is `lost` gives nothing more; one that is `deaf` can be asked nothing more.
    """

    def __init__(self, connection: Sealed) -> None:
        self.connection, self.answers = connection, connection.makefile()
        self.waiting: deque[_Request] = deque()
        self.lost = self.deaf = False

    def send(self, request: _Request) -> None:
        body = request.body or b""
        headers = {"Host": "source", **request.headers, **({"Content-Length": str(len(body))} if body else {})}
        lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        self.waiting.append(request)
        request.line = self

    def head(self) -> tuple[int, http.client.HTTPMessage]:
        """Status and headers of the next answer."""
        words = self.answers.readline(_LONGEST_LINE).split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise http.client.BadStatusLine(repr(words))
        return int(words[1]), http.client.parse_headers(self.answers)

    def close(self) -> None:
        """Those that wait are to be asked again on another one."""
        self.lost = True
        self.connection.close()


@dataclass
class _Request:
    """Something to ask; `answered` has status and body as soon as they are there."""

    source: RemoteSource
    method: str
    path: str
    body: bytes | None = None
    arrived: _Arrived | None = None
    line: _Line | None = None
    soon: Callable[[], None] = nothing
    answered: tuple[int, Buffer] | None = None

    @property
    def headers(self) -> dict[str, str]:
        return self.arrived.headers if self.arrived else {}

    def take(self, soon: Callable[[], None] = nothing) -> Given:
        """See Asked."""
        self.soon = soon
        coded, arrived = self.source.answer(self), self.arrived
        if arrived is None or arrived.coding:
            return Given(coded, arrived.coding if arrived else "")
        return Given(arrived.data, digest=f"blake3:{arrived.digest.hexdigest()}")

    def drop(self) -> None:
        """See Asked."""
        if self.line:
            self.line.close()


class RemoteSource:
    """Reads what the source offers. Threads may share it; the requests of each go one behind the other.

    What a thread was given is its own until it reads, or takes, the next.

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
        self._idle: queue.LifoQueue[_Line] = queue.LifoQueue()
        self._of_thread = threading.local()
        self._heard = patience.clock()

    def offer(self) -> Offer:
        """What the source has to give now. Raises CorruptData if that is not readable."""
        self._heard = self._patience.clock()
        return Offer.from_bytes(bytes(_Request(self, "GET", OFFER).take().data))

    def read(self, key: str, offset: int, length: int) -> Buffer:
        """Bytes of an offered file; fewer where it ends early. What came before a cut is not asked for again."""
        return self.ask(Want(key, offset, length)).take().data

    def ask(self, want: Want) -> _Request:
        """See Remote."""
        coded = {"Accept-Encoding": CODED} | ({BASE: want.base} if want.base else {}) if want.coded else {}
        request = _Request(self, "GET", FILES + quote(want.key), arrived=_Arrived(want.length, want.offset, coded))
        # If it cannot be sent now, whoever takes it tries again, as patiently as he may.
        with contextlib.suppress(OSError):
            self._send(request)
        return request

    def done(self, child: Recipient) -> None:
        """Tell the source that nothing more is needed of it."""
        body = json.dumps({"runId": child.run_id, "run": child.run, "store": child.store}).encode()
        _Request(self, "POST", DONE, body).take()

    def close(self) -> None:
        """Close connections that wait for requests."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def answer(self, request: _Request) -> Buffer:
        """The answer to a request, which is made again on another connection as often as needed."""
        while True:
            if self._ended.is_set():
                raise Interrupted("the transfer was asked to stop")
            try:
                status, answer = request.answered or self._exchange(request)
            except (OSError, http.client.HTTPException) as error:
                if request.arrived and request.arrived.whole:
                    return b""
                self._wait(error)
                continue
            self._heard = self._patience.clock()
            if status < 300:
                return answer
            self._refuse(request.path, status, answer)

    def _send(self, request: _Request) -> _Line:
        """Send a request on the connection on which this thread waits for answers, or else on any that is idle."""
        line: _Line | None = getattr(self._of_thread, "line", None)
        if line is None or line.lost or line.deaf or not line.waiting:
            line = self._of_thread.line = self._line()
        try:
            line.send(request)
        except BaseException:
            # What was asked before may still have been answered.
            line.deaf = True
            if not line.waiting:
                line.close()
            raise
        return line

    def _exchange(self, request: _Request) -> tuple[int, Buffer]:
        line = request.line
        if line is None or line.lost:
            line = self._send(request)
        try:
            while request.answered is None:
                # Answers come in the order of the requests; one that is taken out of turn waits with its request.
                first = line.waiting[0]
                first.answered = self._read(line, first, self._room if first is request else _new_room)
                line.waiting.popleft()
        except BaseException:
            line.close()
            raise
        if not line.waiting:
            # It is no longer this thread's.
            self._of_thread.line = None
            if line.deaf:
                line.close()
            else:
                self._idle.put(line)
        return request.answered

    def _read(self, line: _Line, request: _Request, room: Callable[[int], memoryview]) -> tuple[int, Buffer]:
        status, headers = line.head()
        size = int(headers.get("Content-Length", "0"))
        arrived = request.arrived
        if arrived and status == HTTPStatus.PARTIAL_CONTENT:
            arrived.room = arrived.room or room(arrived.length)
            self._fill(line, size, arrived, request)
            return status, b""
        whole = _Arrived(size, 0, room=_new_room(size))
        self._fill(line, size, whole, request)
        if arrived and status == HTTPStatus.OK:
            arrived.coding = coding_of(headers.get("Content-Encoding", ""))
        return status, whole.data

    def _fill(self, line: _Line, left: int, arrived: _Arrived, request: _Request) -> None:
        data = arrived.room
        if left > len(data) - arrived.count:
            raise http.client.HTTPException("the answer is longer than what was asked for")
        pace = _Pace(arrived.count, 2 * line.connection.round_trip)
        while left:
            end = arrived.count + min(left, self._throttle.slice_bytes)
            # One record at a time: what comes before a cut counts.
            count = line.answers.readinto1(data[arrived.count : end])
            if not count:
                raise http.client.IncompleteRead(bytes(0), left)
            # Digested while the processor's cache has it.
            arrived.digest.update(data[arrived.count : arrived.count + count])
            left -= count
            arrived.count += count
            if request.soon is not nothing and left <= max(len(data) / _LAST_PART, pace.ahead(arrived.count)):
                request.soon()
                request.soon = nothing
            self._throttle.take(count)
            self._heard = self._patience.clock()

    def _room(self, length: int) -> memoryview:
        """This thread's: new memory for each chunk would have to be cleared, page by page."""
        room: memoryview = getattr(self._of_thread, "room", memoryview(b""))
        if len(room) < length:
            room = self._of_thread.room = _new_room(length)
        return room[:length]

    def _line(self) -> _Line:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            connection = self._connections.take()
            connection.limit(_READ_SECONDS)
            return _Line(connection)

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
