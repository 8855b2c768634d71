"""Sends the attempt's status to the API server, from a thread of its own: training never waits for it.

Transitions go at once, progress every few seconds at most. While the API server is away only the newest state is kept.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from sojourn import events
from sojourn.incluster import ApiError, ObjectClient, ObjectGone
from sojourn.progress.output import Renderer
from sojourn_trainer.node.pod.report import AT_ONCE, AttemptReport, Fields, merge_patch, rfc3339

log = logging.getLogger(__name__)

_PAUSES = (1.0, 2.0, 5.0, 10.0)
_HEARTBEATS = 3  # reports of nothing new come after so many times the interval of progress


class Reporter:
    """A renderer of events: they go to the pod's log as text, and into the attempt's status.

    Args:
        report: the state to send; use it only through this object once `start` was called.
        sent: the fields that the object has at the moment.
        seconds: between two reports of progress.
    """

    def __init__(
        self, client: ObjectClient, report: AttemptReport, sent: Fields, lines: Renderer, seconds: float = 10.0
    ) -> None:
        self._client = client
        self._report = report
        self._sent = copy.deepcopy(sent)
        self._lines = lines
        self._seconds = seconds
        self._news = threading.Condition()
        self._last = float("-inf")  # monotonic seconds of the last report
        self._due = float("-inf")
        self._busy = False
        self._gone = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def start(self) -> None:
        """Begin to send, first what there is now."""
        self._thread.start()

    def show(self, event: events.Event) -> None:
        """Take in one event."""
        self._lines.show(event)
        self.update(lambda report: report.apply(event))

    def update(self, change: Callable[[AttemptReport], float | None]) -> None:
        """Change the report; `change` returns how long that may wait, None for as long as progress."""
        with self._news:
            wait = change(self._report)
            self._due = min(self._due, self._last + (self._seconds if wait is None else wait))
            self._news.notify_all()

    def change(self, **fields: Any) -> None:
        """Set fields, and report them at once."""

        def set_fields(report: AttemptReport) -> float:
            report.change(**fields)
            return AT_ONCE

        self.update(set_fields)

    def flush(self, timeout: float) -> bool:
        """Wait until everything is sent; False if that did not happen within `timeout` seconds."""
        with self._news:
            self._due = float("-inf")
            self._news.notify_all()
            return self._news.wait_for(lambda: self._gone or (not self._busy and not self._patch()), timeout)

    def _patch(self) -> Fields:
        return merge_patch(self._sent, self._report.fields)

    def _run(self) -> None:
        failures = 0
        while not self._gone:
            fields = self._wait()
            try:
                self._send(fields)
                failures = 0
            except ObjectGone as error:
                log.warning("nobody takes reports any more: %s", error.message)
                self._finish(gone=True)
            except ApiError as error:
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                log.warning("a report is delayed, training goes on: %s", error.message)
                self._finish(gone=False)
                time.sleep(pause)
                self.update(lambda report: AT_ONCE)

    def _wait(self) -> Fields:
        """Wait until a report is due; returns the fields as they are then."""
        with self._news:
            while True:
                now = time.monotonic()
                beat = self._last + _HEARTBEATS * self._seconds
                if now >= beat or (now >= self._due and self._patch()):
                    self._busy, self._due = True, float("inf")
                    return copy.deepcopy(self._report.fields)
                self._news.wait(min(beat, self._due if self._patch() else beat) - now)

    def _send(self, fields: Fields) -> None:
        patch = merge_patch(self._sent, fields)
        self._client.patch_status(patch | {"heartbeatTime": rfc3339(time.time())})
        with self._news:
            self._sent = fields
            self._last = time.monotonic()
        self._finish(gone=False)

    def _finish(self, *, gone: bool) -> None:
        with self._news:
            self._busy = False
            self._gone = self._gone or gone
            self._news.notify_all()
