"""Whether a replica is ready or draining, and how many requests it is answering."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sojourn_serving.server import metrics


@dataclass(slots=True)
class Lifecycle:
    """A replica's state. `draining` implies not ready: it still answers, and asks clients to connect anew."""

    ready: bool = False
    draining: bool = False
    in_flight: int = 0

    def become_ready(self) -> None:
        self.ready = True
        metrics.READY.set(1)

    def drain(self) -> None:
        self.ready, self.draining = False, True
        metrics.READY.set(0)


@dataclass(slots=True)
class Watch:
    """ASGI middleware: counts requests, times them, logs them, and closes connections while draining.

    `access_log` gets one JSON object a line; None turns the log off.
    """

    app: ASGIApp
    lifecycle: Lifecycle
    access_log: TextIO | None = None
    clock: Callable[[], float] = time.perf_counter
    now: Callable[[], float] = time.time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = self.clock()
        status = 500
        self.lifecycle.in_flight += 1
        metrics.IN_FLIGHT.inc()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.lifecycle.draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self.lifecycle.in_flight -= 1
            metrics.IN_FLIGHT.dec()
            seconds = self.clock() - started
            protocol, operation = scope.get("operation", ("http", "other"))
            metrics.REQUESTS.labels(protocol, operation, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(protocol, operation).observe(seconds)
            if self.access_log is not None:
                self._log(scope, status, seconds)

    def _log(self, scope: Scope, status: int, seconds: float) -> None:
        client = scope.get("client")
        entry = {
            "time": round(self.now(), 3),
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "seconds": round(seconds, 6),
            "client": client[0] if client else None,
        }
        print(json.dumps(entry), file=self.access_log or sys.stdout, flush=True)
