"""Runs the worker group on Ray Train, and starts it again after failures for as long as the coordinator allows."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig

from sojourn.api import TrainingJob
from sojourn_trainer.driver.lean_trainer import LeanTrainer
from sojourn_trainer.workers.backend import SojournBackendConfig
from sojourn_trainer.workers.ray_entry import train_in_worker

# Ray Train looks after its workers this often, which bounds how soon a lost one is noticed.
_RAY_TRAIN_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # the node tells what is taken away, see docs/concepts/pods.md
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


# A machine that was taken away comes back when the cluster has room for it; whoever runs the job sets the limits.
_WAIT_FOR_MACHINES = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(365 * 24 * 3600)}


def build_trainer(job: TrainingJob, coordinator: Any, *, standby: bool, machines: int, scratch: Path) -> LeanTrainer:
    """The Ray Train job for a TrainingJob; nothing runs before its `fit`.

    Args:
        standby: the workers get ready before they wait for a run.
        coordinator: handle of the CoordinatorActor.
        machines: that many join the Ray cluster, each for one worker; 0 where workers may share machines.
        scratch: a local folder for Ray Train's own files; nothing of the run is kept there.
    """
    os.environ.update(_RAY_TRAIN_SETTINGS | (_WAIT_FOR_MACHINES if machines else {}))
    spec = job.spec
    backend = SojournBackendConfig(
        name=job.name, devices=spec.workers.devices, standby=standby, coordinator=coordinator
    )
    return LeanTrainer(
        train_in_worker,
        train_loop_config={"coordinator": coordinator},
        backend_config=backend,
        scaling_config=ScalingConfig(
            num_workers=spec.workers.replicas,
            resources_per_worker=dict(worker_resources(job)),
            placement_strategy="STRICT_SPREAD" if machines else "SPREAD" if spec.workers.replicas > 1 else "PACK",
        ),
        run_config=RunConfig(
            name=f"{job.name}-{uuid.uuid4().hex[:8]}",
            storage_path=str(scratch),
            failure_config=FailureConfig(max_failures=-1, controller_failure_limit=0),
        ),
    )


def worker_resources(job: TrainingJob) -> Mapping[str, float]:
    """What Ray reserves for one worker."""
    resources = job.spec.workers.resources
    wanted = {"CPU": resources.cpu_count}
    if resources.gpu:
        wanted["GPU"] = float(resources.gpu)
    return wanted
