"""Whether a job can start on this cluster at all, apart from whether there is room for it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn.api import TrainingJobSpec
from sojourn_operator.engines import ENGINES
from sojourn_operator.engines.names import RUN_ID
from sojourn_operator.engines.tpu import divides_evenly
from sojourn_operator.runtime.objects import Object
from sojourn_operator.trainingjob import reasons
from sojourn_operator.trainingjob.stores import Infeasible, resolve_store


@dataclass(frozen=True, slots=True)
class Feasibility:
    """The stores that were found, or why the job cannot start."""

    reason: str = reasons.CHECKED
    message: str = "the job can start"
    store: Mapping[str, Any] | None = None
    restore_store: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether the job can start."""
        return self.store is not None


def check_feasible(spec: TrainingJobSpec, stores: Mapping[str, Object], holder: Object | None = None) -> Feasibility:
    """Look at everything that would keep an attempt from starting.

    Args:
        holder: another job, whose run this one names as its own.
    """
    try:
        _check_run(holder)
        _check_engine(spec)
        _check_code(spec)
        _check_topology(spec)
        if spec.checkpoint.store is None:
            raise Infeasible(reasons.NO_STORE, "spec.checkpoint.store is not set; name a CheckpointStore or give a uri")
        store = resolve_store(spec.checkpoint.store, stores)
        restore = _restore_store(spec, store, stores)
    except Infeasible as problem:
        return Feasibility(problem.reason, problem.message)
    return Feasibility(store=store, restore_store=restore)


def _check_run(holder: Object | None) -> None:
    if holder is not None:
        name, run = holder["metadata"]["name"], holder["status"]["runId"]
        raise Infeasible(
            reasons.RUN_IN_USE,
            f"the annotation {RUN_ID} names run {run}, which is that of TrainingJob {name} in namespace "
            f"{holder['metadata']['namespace']}: a run has one job. Take the annotation away to begin a run of its "
            "own, with spec.restoreFrom from a checkpoint of that one",
        )


def _check_engine(spec: TrainingJobSpec) -> None:
    if spec.engine not in ENGINES:
        raise Infeasible(reasons.INVALID_SPEC, f"this operator has no engine {spec.engine}")


def _check_code(spec: TrainingJobSpec) -> None:
    if spec.task.code is not None and spec.task.code.directory is not None:
        raise Infeasible(
            reasons.LOCAL_CODE,
            f"spec.task.code.directory {spec.task.code.directory.path} is a folder of one machine, which pods cannot "
            "see; `sojourn submit` packs it into the store",
        )


def _check_topology(spec: TrainingJobSpec) -> None:
    tpu, replicas = spec.workers.tpu, spec.workers.replicas
    if tpu is not None and not divides_evenly(tpu, replicas):
        raise Infeasible(
            reasons.INVALID_TOPOLOGY,
            f"the chips of a slice {tpu.topology} do not divide evenly over {replicas} workers",
        )


def _restore_store(
    spec: TrainingJobSpec, store: Mapping[str, Any], stores: Mapping[str, Object]
) -> dict[str, Any] | None:
    if spec.restore_from is None or spec.restore_from.store is None:
        return None
    restore = resolve_store(spec.restore_from.store, stores)
    keys, others = store.get("secretRef"), restore.get("secretRef")
    if keys and others and keys != others:
        # Both arrive as the same environment variables of one container.
        raise Infeasible(
            reasons.TWO_CREDENTIALS,
            f"the stores of the run and of restoreFrom need different credentials ({keys['name']}, {others['name']}); "
            "copy the checkpoint into the run's store first (`sojourn copy`)",
        )
    return restore
