"""Owns the listening socket and keeps the replicas alive. Never imports TensorFlow.

Replicas inherit the socket, so one may die, be restarted or drain without a refused connection.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from sojourn.errors import InvalidInput, SojournError
from sojourn_serving.server.restart import Restarts
from sojourn_serving.server.settings import ServerSettings
from sojourn_serving.server.starting import StartingResponder

_BACKLOG = 1024
_KILL_AFTER = 3.0
_FIRST_STARTS = 3
_CHUNK = 64 * 1024
_NOISE = (b"before absl::InitializeLog()", b"oneDNN custom operations are on", b"computation_placer")


class CannotServe(SojournError):
    """The replicas cannot start. `code` is the exit code that the cause asks for."""

    def __init__(self, message: str, *, hint: str = "", code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = code


@dataclass(slots=True)
class _Replica:
    """One replica's process, our end of its control socket, and what it has said there.

    The writer is held because its end is the replica's order to leave.
    """

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ready_at: float | None = None
    failure: dict[str, Any] | None = None


@dataclass(slots=True)
class Supervisor:
    """Runs a server until SIGTERM or SIGINT.

    Args:
        say: receives one line of progress at a time.
        on_ready: called once, with the server's address, when the first replica is ready.
    """

    settings: ServerSettings
    say: Callable[[str], None]
    on_ready: Callable[[str], None] = lambda address: None
    restarts: Restarts = field(default_factory=Restarts)
    _running: dict[int, _Replica] = field(default_factory=dict, init=False)
    _served: bool = field(default=False, init=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _fatal: SojournError | None = field(default=None, init=False)

    def run(self) -> None:
        """Serve. Returns after a graceful stop.

        Raises:
            InvalidInput: the address is taken or unknown.
            CannotServe: no replica could start.
        """
        listener = listen(self.settings.host, self.settings.port)
        with tempfile.TemporaryDirectory(prefix="sojourn-metrics-") as metrics_folder, listener:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
            asyncio.run(self._serve(listener))
        if self._fatal is not None:
            raise self._fatal

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        responder = StartingResponder(listener)
        await responder.start()
        self.say(f"starting {self.settings.replicas} replicas of {self.settings.name!r} on {url(listener)}")
        keepers = [
            asyncio.create_task(self._keep(index, listener, responder)) for index in range(self.settings.replicas)
        ]
        for keeper in keepers:
            keeper.add_done_callback(self._keeper_ended)
        await self._stop.wait()
        responder.stop()
        listener.close()
        for replica in self._running.values():
            _signal(replica.process, signal.SIGTERM)
        patience = self.settings.drain_delay + self.settings.grace + _KILL_AFTER
        _, late = await asyncio.wait(keepers, timeout=patience)
        if late:
            self.say("the grace time is over; killing what is left")
            self._kill()
            await asyncio.wait(late)
        for keeper in keepers:
            keeper.result()
        self.say("stopped")

    def _keeper_ended(self, keeper: asyncio.Task[None]) -> None:
        """One that failed keeps nothing any more, which must not pass unseen: stop, and fail with its error."""
        if not keeper.cancelled() and keeper.exception() is not None:
            self._stop.set()

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._kill()
            return
        self.say("stopping: finishing requests in flight")
        self._stop.set()

    def _kill(self) -> None:
        for replica in self._running.values():
            _signal(replica.process, signal.SIGKILL)

    async def _keep(self, index: int, listener: socket.socket, responder: StartingResponder) -> None:
        """Keep one replica running: start it, follow what it says, start it again when it died."""
        from sojourn_serving.server import metrics

        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stop.is_set():
            try:
                replica = await self._start(listener)
            except OSError as error:  # the machine has no process, memory or file descriptor left
                failures += 1
                await self._after_no_start(index, error, failures)
                continue
            self._running[index] = replica
            if self._stop.is_set():
                _signal(replica.process, signal.SIGTERM)
            relay = asyncio.create_task(self._relay(index, replica.process))
            started = loop.time()
            async for line in replica.reader:
                self._heard(index, replica, json.loads(line), started, listener)
                if self._served:
                    responder.stop()
            code = await replica.process.wait()
            await relay
            replica.writer.close()
            del self._running[index]
            metrics.forget(replica.process.pid)
            if self._stop.is_set():
                return
            if replica.failure is not None and not self._served:
                self._give_up(CannotServe(**replica.failure))
                return
            served = None if replica.ready_at is None else loop.time() - replica.ready_at
            failures = 0 if code == 0 else self.restarts.failures(failures, served)
            if not self._served and failures >= _FIRST_STARTS:
                self._give_up(CannotServe(f"replica {index} cannot start: it {ended(code)} three times"))
                return
            delay = self.restarts.delay(max(0, failures - 1))
            self.say(f"replica {index} (pid {replica.process.pid}) {ended(code)}; starting it again in {delay:g} s")
            metrics.RESTARTS.inc()
            await self._pause(delay)

    async def _after_no_start(self, index: int, error: OSError, failures: int) -> None:
        """Wait until it may be tried again, or give up where nothing is served yet."""
        what = f"replica {index} cannot be started: {error}"
        if not self._served and failures >= _FIRST_STARTS:
            self._give_up(CannotServe(what, hint="does the machine, or its limits, allow another process?"))
            return
        delay = self.restarts.delay(failures)
        self.say(f"{what}; trying again in {delay:g} s")
        await self._pause(delay)

    async def _start(self, listener: socket.socket) -> _Replica:
        """Raises OSError."""
        ours, theirs = socket.socketpair()
        with ExitStack() as undo, theirs:
            undo.callback(ours.close)
            descriptors = (listener.fileno(), theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sojourn_serving.server.worker",
                *map(str, descriptors),
                self.settings.dumps(),
                pass_fds=descriptors,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
            )
            undo.pop_all()
        reader, writer = await asyncio.open_connection(sock=ours)
        return _Replica(process, reader, writer)

    def _heard(
        self, index: int, replica: _Replica, message: dict[str, Any], started: float, listener: socket.socket
    ) -> None:
        now = asyncio.get_running_loop().time()
        if message["event"] == "ready":
            replica.ready_at = now
            self.say(f"replica {index} is ready after {now - started:.1f} s (pid {replica.process.pid})")
            if not self._served:
                self._served = True
                self.on_ready(url(listener))
        elif message["event"] == "failed":
            replica.failure = {key: message[key] for key in ("message", "hint", "code")}
        else:
            self.say(f"replica {index}: {message['message']}")

    async def _relay(self, index: int, process: asyncio.subprocess.Process) -> None:
        """Say what a replica writes to its standard error, but for what TensorFlow says at every start."""
        assert process.stderr is not None
        rest = b""
        while chunk := await process.stderr.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not any(noise in line for noise in _NOISE):
                    self.say(f"replica {index}: {line.decode(errors='replace')}")
        if rest:
            self.say(f"replica {index}: {rest.decode(errors='replace')}")

    def _give_up(self, error: SojournError) -> None:
        self._fatal = self._fatal or error
        self._stop.set()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket that children may inherit. Raises InvalidInput where the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        hint = "choose another with --port, or 0 for any free one"
        raise InvalidInput(f"cannot listen on {host} port {port}: {error.strerror or error}", hint=hint) from error
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def url(listener: socket.socket) -> str:
    """Where clients on this machine reach the socket."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def ended(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return "left" if code == 0 else f"failed with exit code {code}"


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)
