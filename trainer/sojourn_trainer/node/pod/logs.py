"""Keeps what a pod writes to its log with the run, so that it can be read when the pod is gone.

The place is logs/<attempt>/<pod>.log in the run's folder. Only the newest part of a long log is kept.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sojourn.errors import SojournError
from sojourn.store.base import Store

log = logging.getLogger(__name__)

FOLDER = "logs"
LIMIT_BYTES = 1 << 20
_UPLOAD_SECONDS = 60.0
_DRAIN_SECONDS = 2.0
_KEPT_ATTEMPTS = 10
_LEFT_OUT = b"[earlier lines were left out]\n"


@dataclass(frozen=True)
class LogPlace:
    """Where a pod's log goes."""

    store: Store
    run_prefix: str
    attempt: str
    pod: str

    @property
    def key(self) -> str:
        """Key in the store."""
        return f"{self.run_prefix}/{FOLDER}/{self.attempt}/{self.pod}.log"


class Tail:
    """The last bytes of a stream, up to a limit, cut at a line's beginning. Thread-safe."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._cut = False
        self._lock = threading.Lock()
        self.written = 0

    def add(self, data: bytes) -> None:
        """Append; what exceeds the limit is forgotten from the front."""
        with self._lock:
            self.written += len(data)
            for line in data.splitlines(keepends=True):
                self._lines.append(line[: self._limit])
                self._size += len(self._lines[-1])
            while self._size > self._limit:
                self._size -= len(self._lines.popleft())
                self._cut = True

    def read(self) -> bytes:
        """What is kept."""
        with self._lock:
            return (_LEFT_OUT if self._cut else b"") + b"".join(self._lines)


class PodLog:
    """Standard output and error of this process and its children, passed on and kept.

    Args:
        find_place: where to keep it; None as long as that is not known.
    """

    def __init__(self, find_place: Callable[[], LogPlace | None]) -> None:
        self._find_place = find_place
        self._tail = Tail()
        self._uploaded = 0
        self._upload = threading.Lock()
        self._closed = threading.Event()
        self._real: tuple[int, ...] = ()
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Take over file descriptors 1 and 2, and upload now and then."""
        readable, writable = os.pipe()
        self._real = (os.dup(1), os.dup(2))
        os.dup2(writable, 1)
        os.dup2(writable, 2)
        os.close(writable)
        self._reader = threading.Thread(target=self._pass_on, args=(readable, self._real[0]), name="log", daemon=True)
        self._reader.start()
        threading.Thread(target=self._upload_often, name="log-upload", daemon=True).start()

    def close(self) -> None:
        """Give the descriptors back and upload what there is. Children that still write are waited for a moment."""
        self._closed.set()
        sys.stdout.flush()
        sys.stderr.flush()
        for number, real in zip((1, 2), self._real, strict=False):
            os.dup2(real, number)
        if self._reader is not None:
            self._reader.join(_DRAIN_SECONDS)
        self.upload()

    def upload(self) -> None:
        """Write the log into the store; a failure is logged and otherwise ignored."""
        with self._upload:
            written = self._tail.written
            if written == self._uploaded:
                return
            try:
                place = self._find_place()
                if place is not None:
                    place.store.put(place.key, self._tail.read())
                    self._uploaded = written
            except SojournError as error:
                log.warning("this log could not be kept with the run: %s", error.message)

    def _pass_on(self, readable: int, out: int) -> None:
        while data := os.read(readable, 1 << 16):
            view = memoryview(data)
            while view:
                view = view[os.write(out, view) :]
            self._tail.add(data)

    def _upload_often(self) -> None:
        while not self._closed.wait(_UPLOAD_SECONDS):
            self.upload()


def forget_old_logs(store: Store, run_prefix: str, current: str) -> None:
    """Delete the logs of all attempts but the newest ones. Raises StoreError."""

    def number(attempt: str) -> int:
        last = attempt.rpartition("-")[2]
        return int(last) if last.isdecimal() else 0

    folder = f"{run_prefix}/{FOLDER}"
    attempts = sorted({*store.list_folders(folder)} - {current}, key=number)
    for attempt in attempts[: max(0, len(attempts) + 1 - _KEPT_ATTEMPTS)]:
        for info in list(store.list(f"{folder}/{attempt}")):
            store.delete(info.key)
