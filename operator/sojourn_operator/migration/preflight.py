"""What would fail, found out before anything moves (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sojourn_operator.migration import desired, names
from sojourn_operator.migration.observe import Seen, Side, server_name, target_name
from sojourn_operator.migration.reach import Problem
from sojourn_operator.runtime.conditions import get_condition, is_false, is_true
from sojourn_operator.runtime.objects import Object

# Reasons of problems that go away by themselves in a moment.
PASSING = frozenset({"Connecting", "StoreNotProbed", "NoRun", "TargetNotChecked", "JobStopping"})
# What is told of a check of the target that failed, by the check's name.
LACKING: Final = {
    "Secrets": "SecretNotFound",
    "ConfigMaps": "ConfigMapNotFound",
    "ServiceAccounts": "ServiceAccountNotFound",
    "Claims": "ClaimNotFound",
    "Quota": "QuotaTooSmall",
    "Limits": "LimitExceeded",
}
_STOPPED = frozenset({"Suspended", "OwnedElsewhere"})


@dataclass(frozen=True, slots=True)
class Preflight:
    """The result: what would fail, and what people should know."""

    problems: tuple[Problem, ...]
    plan: dict[str, Any]
    reuses_job: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is known that would fail."""
        return not self.problems

    @property
    def only_waits(self) -> bool:
        """Whether everything that speaks against it will pass by itself."""
        return bool(self.problems) and all(problem.reason in PASSING for problem in self.problems)

    @property
    def needs_only_target(self) -> bool:
        """Whether the target's own check of the job is all that is missing."""
        return {problem.reason for problem in self.problems} == {"TargetNotChecked"}


def preflight(seen: Seen) -> Preflight:
    """Look at everything that both clusters tell."""
    out_of_reach = [side.problem for side in (seen.source, seen.target) if side.problem is not None]
    problems = tuple(out_of_reach or _problems(seen))
    reuses = seen.target.job is not None and not names.is_made_by(seen.target.job, seen.migration)
    return Preflight(problems, _plan(seen, problems, reuses), reuses)


def _problems(seen: Seen) -> list[Problem]:
    found = [*_of_source(seen), *_of_target_store(seen), *_of_names(seen), *_of_connection(seen)]
    # The target's operator is asked about the job only when all else is well.
    return found or list(_of_target_job(seen))


def _of_source(seen: Seen) -> Iterator[Problem]:
    source, where = seen.spec["source"], _where(seen.source)
    if "trainingJob" in source:
        yield from _of_source_job(seen.source.job, source["trainingJob"], where)
    elif "checkpoint" in source and seen.source.checkpoint is None:
        yield Problem("CheckpointNotFound", f"there is no Checkpoint {source['checkpoint']} in {where}")
    elif "checkpoint" in source and is_false(seen.source.checkpoint or {}, "Available"):
        condition = get_condition(seen.source.checkpoint or {}, "Available") or {}
        yield Problem("CheckpointNotAvailable", f"Checkpoint {source['checkpoint']}: {condition.get('reason')}")
    elif "run" in source and seen.spec["mode"] == "Cold" and "takeover" not in seen.spec:
        yield Problem(
            "TakeoverNeeded",
            "nobody can be asked to stop a run that has no TrainingJob here; if you are sure that nothing trains it, "
            "say why in spec.takeover.reason",
        )
    carried = desired.cargo(seen)
    if carried is not None and "name" in carried.store and seen.source.store(carried.store) is None:
        yield Problem("StoreNotFound", f"there is no CheckpointStore {carried.store['name']} in {where}")


def _of_source_job(job: Object | None, name: str, where: str) -> Iterator[Problem]:
    if job is None:
        yield Problem("JobNotFound", f"there is no TrainingJob {name} in {where}")
    elif is_true(job, "OwnedElsewhere"):
        message = (get_condition(job, "OwnedElsewhere") or {}).get("message", "")
        yield Problem("OwnedElsewhere", f"TrainingJob {name} has handed its run over already: {message}")
    elif not job.get("status", {}).get("runId"):
        yield Problem("NoRun", f"TrainingJob {name} has not begun a run yet")


def _of_target_store(seen: Seen) -> Iterator[Problem]:
    reference, where = desired.target_store(seen), _where(seen.target)
    if reference is None or "name" not in reference:
        return
    store = seen.target.store(reference)
    if store is None:
        yield Problem(
            "StoreNotFound",
            f"there is no CheckpointStore {reference['name']} in {where}; make it, or name another in "
            "spec.target.storeRef or spec.mapping.stores",
        )
        return
    ready = get_condition(store, "Ready")
    if ready is None:
        yield Problem("StoreNotProbed", f"CheckpointStore {reference['name']} in {where} has not been probed yet")
    elif ready["status"] != "True":
        message = f"CheckpointStore {reference['name']} in {where}: {ready['reason']} {ready.get('message', '')}"
        yield Problem("StoreNotReady", message)
    carried, free = desired.cargo(seen), store.get("status", {}).get("freeBytes")
    if carried is not None and free is not None and carried.size > free and not _is_shared(seen):
        yield Problem(
            "StoreFull", f"{carried.size} bytes are to come, CheckpointStore {reference['name']} has {free} left"
        )


def _of_names(seen: Seen) -> Iterator[Problem]:
    name, where = target_name(seen), _where(seen.target)
    same_place = (seen.source.cluster, seen.source.namespace) == (seen.target.cluster, seen.target.namespace)
    if same_place and seen.source.job is not None and seen.source.job["metadata"]["name"] == name:
        yield Problem("NameTaken", f"source and target are both TrainingJob {name} in {where}: give target.name")
        return
    if seen.target.job is not None and not names.is_made_by(seen.target.job, seen.migration):
        yield from _of_present_job(seen, seen.target.job)
    if seen.spec["mode"] == "Copy" and _is_shared(seen) and _same_run_name(seen, name):
        yield Problem(
            "SharedName",
            f"both ends use one store, so the copy would take the place of {seen.target.namespace}/{name}: "
            "give target.name",
        )
    for obj, what in (
        (seen.source.transfer, names.send_name(seen.migration)),
        (seen.target.transfer, names.receive_name(seen.migration)),
    ):
        if obj is not None and not names.is_made_by(obj, seen.migration):
            yield Problem("NameTaken", f"a CheckpointTransfer {what} of another migration is in the way")
    if seen.target.server is not None and not names.is_made_by(seen.target.server, seen.migration):
        yield Problem("NameTaken", f"there is a ModelServer {server_name(seen)} in {where}: give serve.name")


def _of_present_job(seen: Seen, job: Object) -> Iterator[Problem]:
    """A job of the target's name may be used again when it rests: the run was here before."""
    name, where = job["metadata"]["name"], _where(seen.target)
    phase = job.get("status", {}).get("phase")
    if phase in ("Complete", "Failed"):
        yield Problem("NameTaken", f"TrainingJob {name} in {where} has ended: delete it, or give target.name")
    elif phase not in _STOPPED and not job["spec"].get("suspend"):
        yield Problem("NameTaken", f"TrainingJob {name} in {where} is active: suspend it, or give target.name")
    elif phase == "Suspending":
        yield Problem("JobStopping", f"TrainingJob {name} in {where} has not stopped yet")
    elif job["spec"].get("checkpoint", {}).get("store") != desired.target_store(seen):
        yield Problem("NameTaken", f"TrainingJob {name} in {where} uses another store: give target.name")


def _of_connection(seen: Seen) -> Iterator[Problem]:
    apart = seen.source.cluster != seen.target.cluster and "relay" not in seen.spec
    if apart and seen.spec.get("exposure", {}).get("type") == "ClusterIP":
        yield Problem("ExposureTooNarrow", "exposure ClusterIP is not reached from another cluster")


def _of_target_job(seen: Seen) -> Iterator[Problem]:
    if "resume" not in seen.spec:
        return
    job, where = seen.target.job, _where(seen.target)
    if job is None:
        if desired.job(seen) is None:
            yield Problem(
                "NoJob",
                f"nothing says how to train {target_name(seen)}: make a TrainingJob of that name in {where}, suspended",
            )
        else:
            yield Problem("TargetNotChecked", f"TrainingJob {target_name(seen)} is to be made in {where}, suspended")
        return
    feasible = get_condition(job, "Feasible")
    if feasible is None or feasible.get("observedGeneration", 0) < job["metadata"]["generation"]:
        yield Problem("TargetNotChecked", f"the operator of {where} has not looked at TrainingJob {target_name(seen)}")
    elif feasible["status"] != "True":
        message = f"{where} cannot run the job: {feasible['reason']}: {feasible.get('message', '')}"
        yield Problem("NotFeasible", message)
    else:
        for check in _checks(job):
            if check["result"] == "Failed":
                yield Problem(LACKING.get(check["name"], "TargetLacks"), f"{where}: {check['message']}")


def _plan(seen: Seen, problems: tuple[Problem, ...], reuses: bool) -> dict[str, Any]:
    carried = desired.cargo(seen)
    plan: dict[str, Any] = {
        "problems": [f"{problem.reason}: {problem.message}" for problem in problems],
        "notes": list(_notes(seen, reuses)),
    }
    if carried is not None:
        plan |= {"what": carried.what, "run": carried.run, "bytes": carried.size}
    return plan


def _notes(seen: Seen, reuses: bool) -> Iterator[str]:
    resume, job = seen.spec.get("resume"), seen.source.job
    if resume is None and "serve" not in seen.spec:
        yield "neither resume nor serve is given: the run is carried, and nobody goes on with it"
    if reuses:
        yield f"TrainingJob {target_name(seen)} at the target is used again"
    if resume is not None and job is not None:
        before = job["spec"].get("workers", {}).get("replicas", 1)
        if resume.get("workers", before) != before or "strategy" in resume:
            yield "the number of workers or the strategy changes: results are equal in kind, not bit for bit"
        if "configMap" in job["spec"].get("task", {}).get("code", {}) and not job.get("status", {}).get("code"):
            yield "the code is in a ConfigMap, which does not travel: the target needs one of that name"
    if resume is not None and seen.target.job is not None and is_true(seen.target.job, "Feasible"):
        yield from _notes_of_target(seen.target.job)
    if _is_shared(seen):
        yield "both ends use one store: nothing is copied, only verified and adopted"
    if seen.spec["mode"] == "Cold":
        yield "the source stops at a checkpoint, and cannot go on once the target has taken over"


def _checks(job: Object) -> Sequence[Mapping[str, str]]:
    """What the operator at the target found out for the job's pods."""
    found: Sequence[Mapping[str, str]] = job.get("status", {}).get("checks", ())
    return found


def _notes_of_target(job: Object) -> Iterator[str]:
    """Whatever was not found to be well, nor to be an obstacle."""
    if not _checks(job):
        yield (
            "not looked up at the target, as its job was there before or its operator is older: Secrets, ConfigMaps, "
            "ServiceAccounts, claims, quota, limits, nodes, versions"
        )
    for check in _checks(job):
        if check["result"] == "Warning":
            yield f"{check['name']}: {check['message']}"
        elif check["result"] == "NotChecked":
            yield f"{check['name']} not checked: {check['message']}"


def _is_shared(seen: Seen) -> bool:
    carried, reference = desired.cargo(seen), desired.target_store(seen)
    if carried is None or reference is None:
        return False
    source, target = seen.source.store(carried.store), seen.target.store(reference)
    if source is None or target is None:
        return bool(carried.store.get("uri")) and carried.store.get("uri") == reference.get("uri")
    ids = [store.get("status", {}).get("storeId") for store in (source, target)]
    return ids[0] is not None and ids[0] == ids[1]


def _same_run_name(seen: Seen, name: str) -> bool:
    carried = desired.cargo(seen)
    if carried is None or carried.what == "Export":
        return False
    run_name = carried.run[:-37] if len(carried.run) > 37 else carried.run
    return (carried.namespace or seen.source.namespace, run_name) == (seen.target.namespace, name)


def _where(side: Side) -> str:
    return f"namespace {side.namespace}" + (f" of cluster {side.cluster}" if side.cluster else "")
