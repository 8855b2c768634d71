"""What a job is made of besides its pods: the objects to create and apply (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sojourn.api import TrainingJobSpec
from sojourn_operator.engines import ENGINES
from sojourn_operator.engines.access import access_objects
from sojourn_operator.engines.names import RUN_ID, attempt_name, common_labels, queue_labels
from sojourn_operator.resources import TRAINING_ATTEMPTS
from sojourn_operator.runtime.actions import Apply
from sojourn_operator.runtime.objects import Object, owner_reference, uid_of
from sojourn_operator.trainingjob.decide import Decision
from sojourn_operator.trainingjob.feasible import Feasibility
from sojourn_operator.trainingjob.frozen import ImageDefaults, freeze
from sojourn_operator.trainingjob.observe import Observed


def new_attempt(seen: Observed, decision: Decision, feasible: Feasibility, defaults: ImageDefaults) -> Object:
    """The attempt that a decision to start asks for."""
    spec, job = seen.spec, seen.job
    assert spec is not None
    name = job["metadata"]["name"]
    request = spec.checkpoint.request
    answered = seen.status.get("checkpointRequest", {}).get("token")
    fields: dict[str, Any] = {
        "jobName": name,
        "jobUID": uid_of(job),
        "number": decision.number,
        "engine": spec.engine,
        "job": freeze(spec, defaults),
        "priorFailures": decision.failures,
        "store": feasible.store,
        # A migration that brings the run back says which one it is now: the one before is fenced.
        "runId": run_id(seen.job),
        "standby": spec.standby or None,
        "restoreStore": feasible.restore_store,
        "checkpointRequest": request if request != answered else None,
    }
    return {
        "apiVersion": TRAINING_ATTEMPTS.api_version,
        "kind": TRAINING_ATTEMPTS.kind,
        "metadata": {
            "name": attempt_name(name, decision.number),
            "namespace": job["metadata"]["namespace"],
            "labels": {**queue_labels(job), **common_labels(name)},
            "ownerReferences": [owner_reference(job)],
        },
        "spec": {field: value for field, value in fields.items() if value is not None},
    }


def run_id(job: Object) -> str | None:
    """Id of the run that the job trains, None where it is still to be found or begun."""
    found: str | None = job["metadata"].get("annotations", {}).get(RUN_ID) or job.get("status", {}).get("runId")
    return found


def repairs(seen: Observed, spec: TrainingJobSpec, attempt: str) -> Iterator[Apply]:
    """Whatever of the job's own objects is missing or was changed by somebody."""
    heads = ENGINES[spec.engine].head_labels
    for wanted in access_objects(seen.job, [attempt], spec.pod_template.service_account_name, heads):
        live = seen.children.get((wanted["kind"], wanted["metadata"]["name"]))
        if live is None or not covers(live, wanted):
            yield Apply(wanted)


def covers(live: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is so in the live object, which may have more fields."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            # The API server leaves out what is empty.
            covers(live.get(name), value) or (not value and live.get(name) is None)
            for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(covers, live, wanted))
    return bool(live == wanted)
