"""One replica: loads the model, warms it up, and only then accepts connections from the socket it inherited.

Its end of the control socket tells it when the supervisor is gone, whatever killed it: nothing outlives a server.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

from sojourn.errors import SojournError
from sojourn_serving.server.settings import ServerSettings

CANNOT_SERVE = 3


class Control:
    """The socket to the supervisor: JSON lines out; nothing ever comes in, and its end is the supervisor's end."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)

    def send(self, event: str, **details: Any) -> None:
        """Report an event. Does nothing where the supervisor is gone: the watching thread acts on that."""
        try:
            self._socket.sendall(json.dumps({"event": event, **details}).encode() + b"\n")
        except OSError:
            return

    def follow(self, grace: float) -> None:
        """Drain when the supervisor goes away, and exit after `grace` seconds whatever happens."""

        def wait() -> None:
            try:
                while self._socket.recv(64):
                    pass
            except OSError:
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(grace)
            os._exit(1)

        threading.Thread(target=wait, name="supervisor-watch", daemon=True).start()


def main(arguments: list[str]) -> int:
    """Arguments: the listening socket's descriptor, the control socket's, the settings as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listen_fd, control_fd = int(arguments[0]), int(arguments[1])
    settings = ServerSettings.loads(arguments[2])
    control = Control(control_fd)
    control.follow(settings.drain_delay + settings.grace + 2.0)
    listener = socket.socket(fileno=listen_fd)
    try:
        serve(settings, listener, control)
    except SojournError as error:
        control.send("failed", message=error.message, hint=error.hint, code=error.exit_code)
        return CANNOT_SERVE
    return 0


def serve(settings: ServerSettings, listener: socket.socket, control: Control) -> None:
    """Load, warm up, serve until SIGTERM, drain.

    Raises:
        SojournError: the model cannot be served.
    """
    from sojourn_serving.server import metrics
    from sojourn_serving.server.app import Endpoints, build_app
    from sojourn_serving.server.batcher import Batcher, Limits
    from sojourn_serving.server.http import ReplicaServer
    from sojourn_serving.server.lifecycle import Lifecycle, Watch
    from sojourn_serving.server.model import SavedModel
    from sojourn_serving.server.warmup import load_golden, warm_up

    model = SavedModel(settings.model, settings.name, settings.version, settings.threads)
    golden = load_golden(settings.golden) if settings.golden else None
    warm = warm_up(model.run, model.info, golden, settings.max_batch)
    for remark in warm.remarks:
        control.send("remark", message=remark)
    metrics.INFO.labels(settings.name, str(settings.version)).set(1)

    limits = Limits(settings.max_batch, settings.max_waiting)
    batcher = Batcher(model.run, warm.batchable, limits, metrics.BatchMetrics())
    lifecycle = Lifecycle()
    app = build_app(Endpoints(model.info, batcher, lifecycle, settings.max_body))
    watched = Watch(app, lifecycle, sys.stdout if settings.access_log else None)

    server = ReplicaServer(watched, lifecycle, settings, ready=lambda: control.send("ready"))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve([listener]))
    batcher.close()


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stdout.flush()
    # Everything is answered and closed; taking TensorFlow down module by module would only delay the restart.
    os._exit(exit_code)
