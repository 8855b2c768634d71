"""Event files that TensorBoard reads. Nothing of the run depends on them, so nobody ever waits for their disk.

tensorboardX' own SummaryWriter waits without end for a thread that an error of the disk has ended.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sojourn import events

log = logging.getLogger(__name__)

_FLUSH_SECONDS = 10.0
_RETRY_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_WAITING = 1000


@dataclass(frozen=True, slots=True)
class _Scalars:
    """Values of one moment: tag and value, the step, and seconds since the Unix epoch."""

    values: Mapping[str, float]
    step: int
    time: float


class TensorBoardFiles:
    """Loss and metrics by step, and what saving costs. A thread of its own writes; what it cannot write is left out.

    Args:
        folder: local; it is made when there is something to write.
        clock: monotonic seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = _EventFile(folder)
        self._clock = clock
        self._waiting: queue.Queue[_Scalars | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="tensorboard", daemon=True)
        self._thread.start()

    def observe(self, event: events.Event) -> None:
        match event:
            case events.Progress():
                self._add("train", {"loss": event.loss, **event.metrics}, event.step)
                if event.samples_per_second is not None:
                    self._add("speed", {"samples_per_second": event.samples_per_second}, event.step)
            case events.EpochEnd():
                self._add("epoch", dict(event.metrics), event.step)
            case events.Committed():
                costs = {"seconds": event.seconds, "stall_seconds": event.stall_seconds, "bytes": float(event.bytes)}
                self._add("checkpoint", costs, event.step)
            case _:
                return

    def close(self) -> None:
        """Write what is there, if the disk lets us within seconds."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_CLOSE_SECONDS)
        self._thread.join(_CLOSE_SECONDS)

    def _add(self, group: str, values: Mapping[str, float], step: int) -> None:
        scalars = _Scalars({f"{group}/{name}": value for name, value in values.items()}, step, time.time())
        with suppress(queue.Full):  # its disk hangs
            self._waiting.put_nowait(scalars)

    def _work(self) -> None:
        resume_at = flush_at = self._clock()
        while (scalars := self._waiting.get()) is not None:
            now = self._clock()
            if now < resume_at:
                continue
            try:
                self._file.write(scalars)
                if now >= flush_at:
                    flush_at = now + _FLUSH_SECONDS
                    self._file.flush()
            except OSError as error:
                _warn(error)
                self._file.abandon()
                resume_at = now + _RETRY_SECONDS
        try:
            self._file.flush()
        except OSError as error:
            _warn(error)
        self._file.abandon()


def _warn(error: OSError) -> None:
    log.warning("TensorBoard's files could not be written and will lack some values: %s", error)


class _EventFile:
    """One of TensorBoard's event files at a time; a file that an error has cut short gets a successor.

    `write` and `flush` raise OSError.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._files = 0

    def write(self, scalars: _Scalars) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        if self._writer is None:
            self._writer = self._open()
        for tag, value in scalars.values.items():
            event = Event(wall_time=scalars.time, step=scalars.step, summary=scalar(tag, value))
            self._writer.write(event.SerializeToString())

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def abandon(self) -> None:
        """Close it, whatever comes of that."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):
                writer.close()

    def _open(self) -> Any:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        self._folder.mkdir(parents=True, exist_ok=True)
        self._files += 1
        now = time.time()
        writer = RecordWriter(str(self._folder / f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{self._files}"))
        writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        return writer
