"""The plain loop of benchmarks/steps_task.py under Ray's TensorflowTrainer. Takes its settings as JSON."""

from __future__ import annotations

import json
import sys
import tempfile

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.tensorflow import TensorflowTrainer

from steps_task import train_plainly


def main() -> None:
    ray.init("local")  # a cluster that an earlier program left a note of is none of ours
    with tempfile.TemporaryDirectory() as folder:
        TensorflowTrainer(
            train_plainly,
            train_loop_config=json.loads(sys.argv[1]),
            scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(name="steps", storage_path=folder),
        ).fit()
    ray.shutdown()


if __name__ == "__main__":
    main()
