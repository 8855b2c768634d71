"""Learns, beside the training thread, what the coordinator asks for. Only rank 0 asks; flags tell the others."""

from __future__ import annotations

import logging
import threading

from sojourn_trainer.workers.assignment import CoordinatorPort, Request

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.25


class RequestListener:
    """Holds the newest request until the training thread has acted on it."""

    def __init__(self, coordinator: CoordinatorPort) -> None:
        self._coordinator = coordinator
        self._latest = Request.NONE
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="requests", daemon=True)
        self._thread.start()

    @property
    def latest(self) -> Request:
        return self._latest

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
