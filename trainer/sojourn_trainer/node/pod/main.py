"""A pod from start to end: who it is, what it is to do, and its log."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

from sojourn.api import TrainingJob
from sojourn.errors import InvalidInput, SojournError
from sojourn.incluster import ApiError, ObjectClient, ObjectGone, in_cluster
from sojourn_trainer.node.pod.head import Head, is_replaced, is_stopped
from sojourn_trainer.node.pod.logs import PodLog
from sojourn_trainer.node.pod.outcome import EVICTED
from sojourn_trainer.node.pod.settings import PodSettings, read_pod_settings, store_variables
from sojourn_trainer.node.pod.worker import Worker
from sojourn_trainer.node.stops import Stops

log = logging.getLogger(__name__)

_GRACE_SECONDS = 30.0
_MARGIN_SECONDS = 5.0  # for the last report, the log and the end of Ray
_LOOK_SECONDS = 2.0
_PAUSES = (1.0, 2.0, 5.0, 10.0)


def run_pod() -> int:
    """Be the pod that the environment describes; returns its exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stops = Stops(_GRACE_SECONDS - _MARGIN_SECONDS)
    stops.listen()
    os.environ.update(store_variables())
    try:
        pod = read_pod_settings()
        client = ObjectClient(in_cluster(folder=pod.service_account), pod.attempt)
        found = _get(client, stops)
        if found is None:
            return EVICTED
        job = job_of(found, pod.attempt.namespace)
    except SojournError as error:
        log.error("%s", error)
        return error.exit_code
    stops.grace_seconds = max(1.0, job.spec.termination_grace_period_seconds - _MARGIN_SECONDS)
    return _run_head(pod, client, found, job, stops) if pod.head else _run_worker(pod, client, found, job, stops)


def _run_head(pod: PodSettings, client: ObjectClient, found: dict[str, Any], job: TrainingJob, stops: Stops) -> int:
    if is_replaced(found, pod.uid):
        log.info("another pod is or was the head of this attempt: waiting for the end, or for its last word")
        found = _wait_for_turn(pod, client, found, stops)
        if stops.asked:
            return EVICTED
    if is_stopped(found):
        log.info("spec.stop is answered already")
        return 0
    head = Head(pod, client, found, job, stops)
    kept_log = PodLog(lambda: head.place)
    kept_log.start()
    try:
        return head.run(kept_log)
    finally:
        kept_log.close()


def _wait_for_turn(pod: PodSettings, client: ObjectClient, found: dict[str, Any], stops: Stops) -> dict[str, Any]:
    """Wait until the head before has given the attempt up in good order, which it may do after this pod has started."""
    looked = time.monotonic()
    while is_replaced(found, pod.uid) and not stops.asked:
        time.sleep(0.2)
        if time.monotonic() - looked > _LOOK_SECONDS:
            looked = time.monotonic()
            try:
                found = client.get()
            except ApiError as error:
                log.warning("%s", error)
    return found


def _run_worker(pod: PodSettings, client: ObjectClient, found: dict[str, Any], job: TrainingJob, stops: Stops) -> int:
    worker = Worker(pod, client, found, job, stops)
    kept_log = PodLog(lambda: worker.place)
    kept_log.start()
    try:
        return worker.run()
    finally:
        kept_log.close()


def _get(client: ObjectClient, stops: Stops) -> dict[str, Any] | None:
    """The attempt; None if a stop comes first. Rights may arrive later than the pod, so refusals are tried again."""
    failures = 0
    while not stops.asked:
        try:
            return client.get()
        except ObjectGone:
            raise
        except ApiError as error:
            log.warning("%s", error)
            time.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1
    return None


def job_of(found: dict[str, Any], namespace: str) -> TrainingJob:
    """The TrainingJob that an attempt was made of. Raises InvalidInput if this version does not understand it."""
    spec = found["spec"]
    metadata = {"name": spec["jobName"], "namespace": namespace}
    try:
        return TrainingJob.model_validate(
            {"apiVersion": found["apiVersion"], "kind": "TrainingJob", "metadata": metadata, "spec": spec["job"]}
        )
    except ValueError as error:
        raise InvalidInput(
            f"the job in {found['metadata']['name']} cannot be read: {error}",
            hint="The image and the operator must be of the same version.",
        ) from error
