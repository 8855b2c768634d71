"""What `sojourn.run` returns: a training run that goes on in another process, to watch, wait for and stop."""

from __future__ import annotations

import atexit
import html
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from sojourn import events
from sojourn.client.launch import Launch
from sojourn.client.process import NodeProcess, exit_code
from sojourn.errors import SojournError
from sojourn.events import Event
from sojourn.progress import words
from sojourn.progress.view import RunView, advance


class RunFailed(SojournError):
    """A run ended without success. `exit_code` is that of the training process, `log` names its log file."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = 1, log: Path | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
        self.log = log


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended well: `state` is "completed" or "suspended", `step` its last committed step."""

    state: str
    run: str
    run_id: str
    step: int
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class Handle:
    """A run in progress. Threads may share it; it holds the transitions so far, not every progress event.

    A run that still trains when the Python process ends is asked to commit a checkpoint and to stop.
    """

    def __init__(self, launch: Launch, *, clock: Callable[[], float] = time.time) -> None:
        self.launch = launch
        self._clock = clock
        self._lock = threading.RLock()
        self._view = RunView()
        self._past: list[Event] = []
        self._watchers: list[queue.SimpleQueue[Event | None]] = []
        self._done = threading.Event()
        self._process = NodeProcess(launch.command, launch.environment, launch.log, self._publish, clock)
        atexit.register(_stop_at_exit, weakref.ref(self))

    @property
    def store(self) -> str:
        """Address of the store that the run lives in."""
        return self.launch.store

    @property
    def log(self) -> Path:
        """The file with everything that the training process wrote besides events."""
        return self.launch.log

    @property
    def view(self) -> RunView:
        """What is known so far."""
        with self._lock:
            return self._view

    @property
    def state(self) -> str:
        """launching, training, restarting, completed, suspended or failed."""
        return self.view.state

    @property
    def done(self) -> bool:
        """Whether the training process has ended."""
        return self._done.is_set()

    @property
    def exit_code(self) -> int | None:
        """The training process's exit code, 128 + n where signal n killed it, None while it runs."""
        code = self._process.returncode
        return exit_code(code) if self.done and code is not None else None

    def events(self) -> Iterator[Event]:
        """Every transition so far and the newest progress, then each event as it comes, until the process ends."""
        mine: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        with self._lock:
            past = list(self._past)
            if self._view.progress is not None:
                past.append(self._view.progress)
            if self.done:
                mine.put(None)
            else:
                self._watchers.append(mine)
        yield from sorted(past, key=lambda event: event.time)
        while (event := mine.get()) is not None:
            yield event

    def wait(self, timeout: float | None = None) -> Outcome:
        """Wait until the run has ended.

        Args:
            timeout: seconds to wait at most; the run goes on when they are over.

        Raises:
            RunFailed: the run ended without success.
            TimeoutError: it goes on.
        """
        if not self._done.wait(timeout):
            raise TimeoutError(f"{self.launch.name} still trains after {timeout} s")
        view, code = self.view, self.exit_code or 0
        started = view.started
        run, run_id = (started.run, started.run_id) if started else (self.launch.name, "")
        match view.end:
            case events.Completed(step=step, metrics=metrics):
                return Outcome("completed", run, run_id, step, MappingProxyType(dict(metrics)))
            case events.Suspended(step=step):
                return Outcome("suspended", run, run_id, step)
            case events.Failed(message=message, hint=hint):
                raise RunFailed(message, hint=_with_log(hint, self.log), exit_code=code or 1, log=self.log)
        raise RunFailed(
            "The training process ended without saying how.", hint=_with_log("", self.log), exit_code=1, log=self.log
        )

    def stop(self) -> None:
        """Ask the run to commit a checkpoint and to suspend itself; it can be resumed. Returns at once."""
        self._say("Stopping: a checkpoint is committed first.")
        self._process.terminate()

    def kill(self) -> None:
        """End the training process at once. Steps after the last commit are lost."""
        self._say("Killed. Steps after the last commit are lost.")
        self._process.kill()

    def _say(self, text: str) -> None:
        if not self.done:
            self._publish(events.Message(time=self._clock(), level="warning", text=text))

    def _publish(self, event: Event | None) -> None:
        with self._lock:
            if event is None:
                self.launch.discard_code()
                self._done.set()
            else:
                self._view = advance(self._view, event)
                if not isinstance(event, events.Progress):
                    self._past.append(event)
            for watcher in self._watchers:
                watcher.put(event)

    def __repr__(self) -> str:
        view = self.view
        total = f"/{view.total_steps}" if view.total_steps else ""
        return f"<sojourn.Handle {self.launch.name} {view.state} step {view.step}{total} in {self.store}>"

    def _repr_html_(self) -> str:
        view = self.view
        share = 100 * view.step / view.total_steps if view.total_steps else 0
        figures = [f"<b>{html.escape(self.launch.name)}</b>", view.state, f"step {view.step:,} of {view.total_steps:,}"]
        if view.progress is not None:
            figures += [f"epoch {view.progress.epoch + 1}", f"loss {words.metric(view.progress.loss)}"]
            figures += [f"{html.escape(name)} {words.metric(value)}" for name, value in view.progress.metrics.items()]
        if view.committed is not None:
            figures.append(f"committed step {view.committed.step:,}")
        bar = f'<progress max="100" value="{share:.1f}" style="width:100%"></progress>'
        return f'<div style="max-width:60em">{" · ".join(figures)}<br>{bar}</div>'


def _stop_at_exit(reference: weakref.ref[Handle]) -> None:
    handle = reference()
    if handle is not None and not handle.done:
        handle.stop()


def _with_log(hint: str, log: Path) -> str:
    return "\n".join(part for part in (hint, f"Log of the training process: {log}") if part)
