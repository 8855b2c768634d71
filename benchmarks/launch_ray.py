"""The peer of benchmarks/launch.py: a plain loop under Ray's TensorflowTrainer, which appends its phases to a file."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def train(settings: dict[str, Any]) -> None:
    """In a worker process."""
    import os

    entered = time.time()
    import launch_task
    import steps_task

    imported = time.time()
    if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0:
        note(settings, "worker group", entered)
        note(settings, "import TensorFlow", imported)
    steps_task.train_plainly(settings, launch_task.build)


def note(settings: dict[str, Any], phase: str, when: float) -> None:
    with Path(settings["phases"]).open("a") as file:
        file.write(json.dumps({"phase": phase, "time": when}) + "\n")


def main() -> None:
    settings = json.loads(sys.argv[1])
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer

    note(settings, "command", time.time())
    ray.init("local")  # a cluster that an earlier program left a note of is none of ours
    note(settings, "start Ray", time.time())
    with tempfile.TemporaryDirectory() as folder:
        TensorflowTrainer(
            train,
            train_loop_config=settings,
            scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(name="launch", storage_path=folder),
        ).fit()
    ray.shutdown()


if __name__ == "__main__":
    main()
