"""Talks to the coordinator beside the training thread: what it asks for, and how often to save.

Only rank 0 does; flags tell the others.
"""

from __future__ import annotations

import logging
import queue
import threading

from sojourn_trainer.checkpointing.interval import SaveCost
from sojourn_trainer.workers.assignment import CoordinatorPort, Request

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.25


class RequestListener:
    """Holds the newest request until the training thread has acted on it."""

    def __init__(self, coordinator: CoordinatorPort, *, auto: bool = False) -> None:
        self._coordinator = coordinator
        self._auto = auto
        self._latest = Request.NONE
        self._interval: float | None = None
        self._costs: queue.SimpleQueue[SaveCost] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="requests", daemon=True)
        self._thread.start()

    @property
    def latest(self) -> Request:
        return self._latest

    @property
    def interval(self) -> float | None:
        """Seconds between two saves, with `auto`; None until the coordinator has answered."""
        return self._interval

    def tell(self, cost: SaveCost) -> None:
        """Have the coordinator told what a save has cost."""
        self._costs.put(cost)

    def done(self, request: Request) -> None:
        """The workers have acted on `request`."""
        if self._latest is request:
            self._latest = Request.NONE

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _listen(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            request = self._coordinator.request()
            if request is not Request.NONE:
                self._latest = request
            if self._auto:
                self._ask_for_interval()

    def _ask_for_interval(self) -> None:
        cost = None if self._costs.empty() else self._costs.get()
        if cost is not None or self._interval is None:
            self._interval = self._coordinator.save_interval(cost)
