"""The optimizers that a manifest names, with schedules and clipping: each trains, under one strategy and the other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import LocalRun, new_store

from sojourn.api import Optimizer, Training, TrainingJob, load_manifests
from sojourn.errors import InvalidInput
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

EXAMPLE = Path(__file__).parents[3] / "manifests/examples/optimizer-schedule.yaml"
COSINE = {"name": "CosineDecay", "args": {"initial_learning_rate": 0.01, "decay_steps": 184}}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "gradient descent": {"name": "SGD", "args": {"learning_rate": 0.2}},
    "momentum, clipped values": {"name": "SGD", "args": {"learning_rate": 0.05, "momentum": 0.9, "clipvalue": 0.5}},
    "Nesterov, steps": {
        "name": "SGD",
        "args": {"momentum": 0.9, "nesterov": True},
        "schedule": {"name": "PiecewiseConstantDecay", "args": {"boundaries": [100], "values": [0.05, 0.01]}},
    },
    "Adam, global norm": {"name": "Adam", "args": {"global_clipnorm": 1.0}, "schedule": COSINE},
    "AdamW, norm": {"name": "AdamW", "args": {"weight_decay": 0.01, "clipnorm": 1.0}, "schedule": COSINE},
}


def example(**training: Any) -> TrainingJob:
    (loaded,) = load_manifests(EXAMPLE)
    manifest = copy.deepcopy(loaded.obj.to_manifest())
    manifest["spec"]["training"] |= training
    return TrainingJob.from_manifest(manifest)


def trained(job: TrainingJob, folder: Path) -> dict[str, float]:
    result = LocalRun(new_store(folder), job).attempt().result
    assert result.outcome is Outcome.COMPLETED, result.failure
    return dict(result.metrics)


def test_the_example_trains_with_two_workers(tmp_path: Path) -> None:
    assert trained(example(), tmp_path)["test_accuracy"] >= 0.95


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_trains_under_each_strategy(name: str, workers: int, tmp_path: Path) -> None:
    manifest = example(optimizer=OPTIMIZERS[name]).to_manifest()
    manifest["spec"]["workers"]["replicas"] = workers
    manifest["spec"]["strategy"] = "Default" if workers == 1 else "MultiWorkerMirroredStrategy"
    assert trained(TrainingJob.from_manifest(manifest), tmp_path)["test_accuracy"] >= 0.93


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_is_built_as_the_manifest_says(name: str) -> None:
    """In place of the task's own, whose loss and metrics stay; its steps are those of Keras' own arguments."""
    import keras

    from sojourn_trainer.loop.build import prepare
    from sojourn_trainer.tasks import mlp

    model = mlp.build(hidden=4).model
    training = Training(global_batch_size=4, epochs=1, optimizer=Optimizer.from_manifest(OPTIMIZERS[name]))
    batch = (np.zeros((4, 8, 8), np.float32), np.zeros(4, np.int64))
    prepare(model, training, batch, masked=False)
    wanted = OPTIMIZERS[name]
    config = model.optimizer.get_config()
    assert type(model.optimizer).__name__ == wanted["name"]
    for key, value in wanted["args"].items():
        assert config[key] == pytest.approx(value)
    if "schedule" in wanted:
        rate = getattr(keras.optimizers.schedules, wanted["schedule"]["name"])(**wanted["schedule"]["args"])
        assert config["learning_rate"]["config"] == rate.get_config()
    model.train_on_batch(*batch)
    assert [metric.name for metric in model.metrics] == ["loss", "compile_metrics"]
    assert {"loss", "accuracy"} <= model.get_metrics_result().keys()


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"name": "Adamw2"}, "knows no 'Adamw2'"),
        ({"name": "Adam", "args": {"rate": 1}}, "optimizer.args"),
        ({"name": "Adam", "schedule": {"name": "Cosine"}}, "no schedule 'Cosine'"),
        ({"name": "Adam", "schedule": {"name": "CosineDecay"}}, "schedule.args"),
    ],
)
def test_a_wrong_one_is_refused(optimizer: Any, message: str) -> None:
    from sojourn_trainer.loop import build

    with pytest.raises(InvalidInput, match=message):
        build.optimizer(Optimizer.from_manifest(optimizer))


def test_a_learning_rate_beside_a_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"schedule takes the place of args\.learning_rate"):
        Optimizer.from_manifest({"name": "Adam", "args": {"learning_rate": 0.1}, "schedule": COSINE})
