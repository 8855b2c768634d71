"""From the commits that an attempt reports to Checkpoint objects: made once, marked when retired, bounded (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sojourn_operator.checkpoint.status import with_availability
from sojourn_operator.checkpoint.words import best
from sojourn_operator.engines.names import JOB_LABEL
from sojourn_operator.engines.storage import store_address
from sojourn_operator.resources import CHECKPOINTS, TRAINING_ATTEMPTS
from sojourn_operator.runtime.actions import Action, Create, Delete, Patch, Plan
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, is_false
from sojourn_operator.runtime.objects import Object, is_being_deleted, uid_of

RUN_LABEL: Final = "sojourn.dev/run"
MIRRORED: Final = "sojourn.dev/mirrored"
MOST: Final = 50
RETIRED_TIME: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Observed:
    """An attempt and the Checkpoints of its run."""

    attempt: Object
    checkpoints: tuple[Object, ...]
    now: datetime

    @property
    def status(self) -> Mapping[str, Any]:
        """The attempt's status."""
        status: Mapping[str, Any] = self.attempt.get("status", {})
        return status

    @property
    def run(self) -> Mapping[str, Any]:
        """The run that the attempt works on, as far as it has said."""
        run: Mapping[str, Any] = self.status.get("run", {})
        return run

    @property
    def mirrored(self) -> str:
        """Key of the newest commit of which an object was made."""
        return str(self.attempt["metadata"].get("annotations", {}).get(MIRRORED, ""))

    @property
    def keep_best(self) -> Mapping[str, Any] | None:
        """By which metric commits compare."""
        found: Mapping[str, Any] | None = self.attempt["spec"]["job"].get("checkpoint", {}).get("keepBest")
        return found


def plan_mirror(seen: Observed) -> Plan:
    """Make objects of new commits, mark those that are retired, let old ones go."""
    if not seen.run.get("runId") or not seen.run.get("prefix"):
        return Plan()
    # The attempt tells of the last that were retired; of others the mark tells.
    marked = {item["spec"]["key"] for item in seen.checkpoints if is_false(item, "Available")}
    retired = marked | set(seen.status.get("retired", ()))
    new = [commit for commit in _new(seen) if commit["checkpoint"] not in retired]
    actions: list[Action] = [Create(checkpoint(seen, commit)) for commit in new]
    newest = next((commit["checkpoint"] for commit in reversed(_reported(seen))), None)
    if newest not in (None, seen.mirrored):
        actions.append(_remember(seen, newest))
    live = [item for item in seen.checkpoints if item["spec"]["key"] not in retired]
    fresh = ({**commit, "key": commit["checkpoint"]} for commit in new)
    top = best([*(item["spec"] for item in live), *fresh], seen.keep_best)
    for item in seen.checkpoints:
        key = item["spec"]["key"]
        actions += with_availability(item, key not in retired, key == top, seen.keep_best, seen.now)
    gone, wait = _let_go(seen, live, top, retired)
    return Plan([*actions, *gone], wait)


def checkpoint(seen: Observed, commit: Mapping[str, Any]) -> Object:
    """The object of one commit. It belongs to no job: what it names outlives jobs."""
    attempt, run = seen.attempt, seen.run
    job, store = attempt["spec"]["jobName"], attempt["spec"]["store"]
    reference = {"name": store["name"]} if store.get("name") else {"uri": store_address(store)}
    digest = commit["manifest"].removeprefix("blake3:")
    return {
        "apiVersion": CHECKPOINTS.api_version,
        "kind": CHECKPOINTS.kind,
        "metadata": {
            "name": f"{job}-{commit['step']}-{digest[:5]}",
            "namespace": attempt["metadata"]["namespace"],
            "labels": {
                "app.kubernetes.io/managed-by": "sojourn-operator",
                JOB_LABEL: job,
                RUN_LABEL: run["runId"],
            },
        },
        "spec": {
            "storeRef": reference,
            "run": {name: run[name] for name in ("name", "runId", "prefix") if name in run},
            "jobName": job,
            "step": commit["step"],
            "epoch": commit.get("epoch", 0),
            "manifest": commit["manifest"],
            "key": commit["checkpoint"],
            "bytes": commit.get("bytes", 0),
            "metrics": commit.get("metrics", {}),
            "time": commit["time"],
        },
    }


def _new(seen: Observed) -> Sequence[Mapping[str, Any]]:
    """Commits since those of which objects were made. One that a person has deleted does not come back."""
    commits = _reported(seen)
    known = {item["spec"]["key"] for item in seen.checkpoints}
    keys = [commit["checkpoint"] for commit in commits]
    since = commits[keys.index(seen.mirrored) + 1 :] if seen.mirrored in keys else commits
    return [commit for commit in since if commit["checkpoint"] not in known]


def _reported(seen: Observed) -> Sequence[Mapping[str, Any]]:
    return [commit for commit in seen.status.get("commits", ()) if commit.get("checkpoint")]


def _remember(seen: Observed, key: Any) -> Patch:
    metadata = seen.attempt["metadata"]
    patch = {"metadata": {"annotations": {MIRRORED: key}}}
    return Patch(TRAINING_ATTEMPTS, metadata["namespace"], metadata["name"], patch)


def _let_go(
    seen: Observed, live: Sequence[Object], top: str, retired: set[str]
) -> tuple[Iterable[Action], float | None]:
    """Retired ones a while after they were marked, and the oldest where there are too many."""
    gone, wait = [], None
    for item in seen.checkpoints:
        if item["spec"]["key"] in retired and not is_being_deleted(item):
            marked = get_condition(item, "Available")
            if marked is None or marked["status"] != "False":
                wait = RETIRED_TIME.total_seconds()
                continue
            left = (parse_rfc3339(marked["lastTransitionTime"]) + RETIRED_TIME - seen.now).total_seconds()
            if left <= 0:
                gone.append(item)
            else:
                wait = left if wait is None else min(wait, left)
    ordered = sorted(live, key=lambda item: int(item["spec"]["step"]))
    spare = [
        item
        for item in ordered
        if item["spec"]["key"] != top and item["spec"].get("deletionPolicy", "Retain") == "Retain"
    ]
    gone += spare[: max(0, len(ordered) - MOST)]
    return [_delete(item) for item in gone], wait


def _delete(item: Object) -> Delete:
    return Delete(CHECKPOINTS, item["metadata"]["namespace"], item["metadata"]["name"], uid_of(item))
