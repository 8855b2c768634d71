"""A port of this machine that leads to a port of a pod, through the API server."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import closing
from dataclasses import dataclass, field

from sojourn.errors import InvalidInput, Refused
from sojourn_operator.client.job import Job
from sojourn_operator.client.pods import PodStreams
from sojourn_operator.runtime.port import ClusterError

_CHUNK = 64 * 1024


def dashboard_pod(job: Job) -> str:
    """The pod whose Ray dashboard shows a job. Raises Refused where none runs."""
    attempts = job.attempts()
    head = attempts[-1].get("status", {}).get("head", {}) if attempts else {}
    if not head.get("pod") or not head.get("dashboardURL"):
        raise Refused(
            f"TrainingJob {job.name} has no dashboard now: it is {job.phase}",
            hint=f"There is one while it runs; `sojourn status {job.name}` shows what it waits for.",
        )
    return str(head["pod"])


@dataclass(slots=True)
class Forwarder:
    """Listens on 127.0.0.1 between its `__enter__` and its `__exit__`. Each connection has a stream of its own."""

    pods: PodStreams
    namespace: str
    pod: str
    target: int
    port: int = 0
    _listener: socket.socket = field(init=False)

    def __enter__(self) -> Forwarder:
        try:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        except OSError as error:
            raise InvalidInput(
                f"cannot listen on port {self.port}: {error.strerror}", hint="Choose another."
            ) from error
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(ours,), daemon=True).start()

    def _connect(self, ours: socket.socket) -> None:
        with ours:
            try:
                theirs = self.pods.forward(self.namespace, self.pod, self.target)
            except ClusterError:
                return
            # The official client's wrapped socket is no context manager.
            with closing(theirs):
                pump(ours, theirs)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on in both directions until one side ends."""
    peers = {one: other, other: one}
    while True:
        for ready in select.select([one, other], [], [])[0]:
            try:
                data = ready.recv(_CHUNK)
                if not data:
                    return
                peers[ready].sendall(data)
            except OSError:
                return
