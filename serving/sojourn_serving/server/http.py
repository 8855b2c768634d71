"""uvicorn with a shutdown that loses no request: say so, stop accepting, let clients leave, then close."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from sojourn_serving.server.lifecycle import Lifecycle
from sojourn_serving.server.settings import ServerSettings

LINGER = 1.0
_TICK = 0.02


class ReplicaServer(uvicorn.Server):
    """Serves until SIGTERM.

    Args:
        ready: called once connections are accepted.
    """

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, settings: ServerSettings, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.grace)),
        )
        super().__init__(config)
        self._lifecycle = lifecycle
        self._delay = settings.drain_delay
        self._linger = min(LINGER, settings.grace)
        self._ready = ready
        self._stop = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM begins the drain; uvicorn's own handlers would close idle connections at once."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._lifecycle.become_ready()
        self._ready()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stop.wait()
        await self._drain()

    async def _drain(self) -> None:
        """Readiness off, then no new connections, then answers that ask their client to connect elsewhere.

        Connections that the kernel has queued stay with the shared socket, for another replica. A connection that is
        idle after the linger time is closed by uvicorn, as one whose keep-alive time is over.
        """
        self._lifecycle.drain()
        await asyncio.sleep(self._delay)
        for server in self.servers:
            server.close()
        for _ in range(round(self._linger / _TICK)):
            if not self.server_state.connections:
                return
            await asyncio.sleep(_TICK)
