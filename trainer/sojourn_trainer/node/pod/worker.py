"""Any other index: one more machine for the head, which stays for as long as the head needs it."""

from __future__ import annotations

import logging
import socket
import time
import zlib
from typing import Any

from sojourn.api import TrainingJob
from sojourn.errors import SojournError
from sojourn.incluster import ApiError, ObjectClient
from sojourn.store.open import open_store
from sojourn_trainer.node.pod.evictions import add_eviction, evicted_pods
from sojourn_trainer.node.pod.head import is_stopped
from sojourn_trainer.node.pod.logs import LogPlace
from sojourn_trainer.node.pod.outcome import EVICTED
from sojourn_trainer.node.pod.report import rfc3339
from sojourn_trainer.node.pod.settings import PodSettings
from sojourn_trainer.node.ray_plans import pod_worker
from sojourn_trainer.node.stops import Stops

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_LOOK_SECONDS = 1.0
_SPREAD_SECONDS = 2.0
_ENDED = ("Succeeded", "Suspended", "Failed", "Lost")
# While nothing is trained, there is nothing to commit.
_IDLE = ("Pending", "Starting", "Standby", None)


class Worker:
    """Joins the head's Ray, again and again, until it is told to stop."""

    def __init__(
        self, pod: PodSettings, client: ObjectClient, found: dict[str, Any], job: TrainingJob, stops: Stops
    ) -> None:
        self._pod = pod
        self._client = client
        self._found = found
        self._stops = stops
        self._ray = pod_worker(job, pod)

    @property
    def place(self) -> LogPlace | None:
        """Where this pod's log is kept, once the head has told which run it is."""
        prefix = self._look().get("status", {}).get("run", {}).get("prefix")
        if not prefix:
            return None
        return LogPlace(open_store(self._pod.store), prefix, self._pod.attempt.name, self._pod.pod)

    def run(self) -> int:
        """Returns the exit code: 0 once the attempt has done its work, so that the pod is not replaced."""
        try:
            while not self._stops.asked:
                self._ray.stop()
                if not self._join():
                    continue
                while self._ray.running and not self._stops.asked:
                    time.sleep(_POLL_SECONDS)
                if not self._ray.running:
                    log.warning("Ray has ended here")
            self._wait_for_commit()
        finally:
            # A group that goes on without this worker has to learn of it at once.
            self._ray.stop(at_once=self._phase in _ENDED)
        return 0 if self._phase == "Succeeded" or is_stopped(self._found) else EVICTED

    def _join(self) -> bool:
        """Start Ray here as soon as the head is there; False if that failed or a stop was asked for."""
        host, _, port = self._pod.head_address.rpartition(":")
        while not self._stops.asked and not _listens(host, int(port)):
            time.sleep(_RETRY_SECONDS)
        if self._stops.asked:
            return False
        begun = time.monotonic()
        try:
            self._ray.start()
        except SojournError as error:
            log.warning("%s", error.message)
            time.sleep(_RETRY_SECONDS)
            return False
        log.info("joined %s in %.1f s", self._pod.head_address, time.monotonic() - begun)
        return True

    def _wait_for_commit(self) -> None:
        """Keep Ray up until the head needs it no more, has committed what this worker did, or the time is over."""
        said = False
        # All pods of a job may be told at once, and then the head knows: only a worker that goes alone says so.
        pause = _SPREAD_SECONDS * (0.5 + zlib.crc32(self._pod.pod.encode()) / (2 * 0xFFFFFFFF))
        while self._ray.running and not self._stops.overdue:
            self._look()
            if self._phase in _ENDED or self._phase in _IDLE:
                return
            if said and self._pod.pod not in evicted_pods(self._found):
                log.info("all work of this pod is committed")
                return
            self._sleep(pause)
            pause = _LOOK_SECONDS
            if not said and self._look_at_phase() == "Running":
                said = self._say_so()
        log.warning("ends before it is known that its work is committed")

    @property
    def _phase(self) -> str | None:
        """Phase of the attempt, as it was last seen."""
        phase: str | None = self._found.get("status", {}).get("phase")
        return phase

    def _look_at_phase(self) -> str | None:
        self._look()
        return self._phase

    def _say_so(self) -> bool:
        try:
            add_eviction(self._client, self._pod.pod, rfc3339(time.time()))
        except ApiError as error:
            log.warning("the head could not be told that this pod ends: %s", error.message)
            return False
        self._look()
        return True

    def _look(self) -> dict[str, Any]:
        """The attempt as it is, or as it was last seen."""
        try:
            self._found = self._client.get()
        except ApiError as error:
            log.warning("%s", error.message)
        return self._found

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._ray.running and not self._stops.overdue:
            time.sleep(0.1)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True
