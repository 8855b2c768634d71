"""Who listens to a run's events: the driver's output, the run's history in the store, Ray's metrics; TensorBoard."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sojourn import events
from sojourn.errors import SojournError
from sojourn.store.base import Store
from sojourn_trainer.driver.tensorboard import TensorBoardFiles

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Gets every event once, in order of time, from several threads. It must not raise and must not block for long."""

    def observe(self, event: events.Event) -> None: ...

    def close(self) -> None: ...


def files_of_run(store: Store, run_prefix: str, tensorboard: Path | None) -> list[Observer]:
    """What writes files beside the run's log: its history, and TensorBoard's where it has a folder for them."""
    files: list[Observer] = [HistoryFiles(store, run_prefix)]
    if tensorboard is not None:
        files.append(TensorBoardFiles(tensorboard))
    return files


class EventQueue:
    """Keeps events until the driver fetches them."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()

    def observe(self, event: events.Event) -> None:
        self._lines.append(events.encode(event))

    def drain(self) -> list[str]:
        """Everything since the last call, encoded."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def close(self) -> None:
        return


class HistoryFiles:
    """The curves of the run, in its own folder: history/<term>-<number>.jsonl, one file per commit.

    Only lines of steps that a commit has behind it are kept, so the curves are those of the run that exists, and no
    step is in them twice.
    """

    def __init__(self, store: Store, run_prefix: str) -> None:
        self._store = store
        self._folder = f"{run_prefix}/history"
        self._lock = threading.Lock()
        self._lines: list[_Line] = []
        self._term = 0
        self._number = 0
        self._attempt = ""
        self._committed = 0

    def observe(self, event: events.Event) -> None:
        match event:
            case events.Started():
                with self._lock:
                    self._term, self._number, self._attempt, self._lines = event.term, 0, event.attempt, []
                    self._committed = event.restored_step or 0
            case events.Progress():
                self._add(event, event.step, event.epoch, {"loss": event.loss, **event.metrics}, "step")
            case events.EpochEnd():
                self._add(event, event.step, event.epoch, dict(event.metrics), "epoch")
            case events.SaveInterval():
                self._add_interval(event)
            case events.RolledBack():
                with self._lock:
                    self._lines = [line for line in self._lines if line.step <= event.to_step]
            case events.Committed():
                with self._lock:
                    self._committed = max(self._committed, event.step)
                self._flush()
            case _:
                return

    def close(self) -> None:
        self._flush()  # a line may come after the commit of its own step

    def _add(self, event: events.Event, step: int, epoch: int, values: dict[str, float], kind: str) -> None:
        row = {
            "kind": kind,
            "step": step,
            "epoch": epoch,
            "time": event.time,
            "attempt": self._attempt,
            "loss": values.pop("loss", None),
            "metrics": values,
        }
        with self._lock:
            self._lines.append(_Line(step, json.dumps(row)))

    def _add_interval(self, event: events.SaveInterval) -> None:
        row = {
            "kind": "saveInterval",
            "time": event.time,
            "attempt": self._attempt,
            "seconds": event.seconds,
            "reason": event.reason,
            "message": event.message,
        }
        with self._lock:
            self._lines.append(_Line(0, json.dumps(row)))

    def _flush(self) -> None:
        with self._lock:
            lines = [line for line in self._lines if line.step <= self._committed]
            if not lines:
                return
            self._lines = [line for line in self._lines if line.step > self._committed]
            self._number += 1
            key = f"{self._folder}/{self._term:06}-{self._number:06}.jsonl"
        try:
            self._store.put(key, "".join(f"{line.text}\n" for line in lines).encode())
        except SojournError as error:
            log.warning("the history of the run could not be written: %s", error)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the history, and the step after which it is true; 0 where it belongs to none."""

    step: int
    text: str


class RayMetrics:
    """Gauges in Ray's metrics, which its dashboard and its Prometheus endpoint show."""

    def __init__(self, run: str) -> None:
        from ray.util.metrics import Counter, Gauge

        self._gauges: dict[str, Any] = {
            name: Gauge(f"sojourn_{name}", description=text, tag_keys=("run",)) for name, text in _GAUGES.items()
        }
        self._commits = Counter("sojourn_commits", description="Checkpoints committed.", tag_keys=("run",))
        self._failures = Counter("sojourn_attempt_failures", description="Attempts lost.", tag_keys=("run",))
        for metric in (*self._gauges.values(), self._commits, self._failures):
            metric.set_default_tags({"run": run})

    def observe(self, event: events.Event) -> None:
        match event:
            case events.Progress():
                self._set(step=event.step, epoch=event.epoch, loss=event.loss)
                self._set(samples_per_second=event.samples_per_second, eta_seconds=event.eta_seconds)
                self._set(seconds_since_commit=event.seconds_since_commit)
            case events.Committed():
                self._commits.inc()
                self._set(save_seconds=event.seconds, save_stall_seconds=event.stall_seconds)
                self._set(checkpoint_bytes=event.bytes, committed_step=event.step)
            case events.SaveInterval():
                self._set(save_interval_seconds=event.seconds, save_cost_seconds=event.cost_seconds)
            case events.AttemptFailed():
                self._failures.inc()
            case _:
                return

    def close(self) -> None:
        return

    def _set(self, **values: float | None) -> None:
        for name, value in values.items():
            if value is not None:
                self._gauges[name].set(value)


_GAUGES = {
    "step": "Optimizer steps taken.",
    "epoch": "Current epoch, from 0.",
    "loss": "Running mean of the loss.",
    "samples_per_second": "Samples trained per second.",
    "eta_seconds": "Seconds to the last step at the current speed.",
    "seconds_since_commit": "Seconds since the newest checkpoint was committed.",
    "committed_step": "Step of the newest committed checkpoint.",
    "save_seconds": "Seconds from the boundary to the commit of the newest checkpoint.",
    "save_stall_seconds": "Seconds that training stood still for the newest checkpoint.",
    "checkpoint_bytes": "Size of the newest checkpoint.",
    "save_interval_seconds": "Seconds between two saves, as chosen by every.auto.",
    "save_cost_seconds": "Seconds that a save takes away from training, by which every.auto chooses.",
}
