"""One exported run and one running server for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import sojourn
from helpers.serving import Digits, Server, eventually, start_server
from helpers.trained import JobFiles, make_run
from sojourn.store.posix import PosixStore


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    random = np.random.default_rng(3)
    shapes = {
        "sequential/dense/kernel": (64, 128),
        "sequential/dense/bias": (128,),
        "sequential/probabilities/kernel": (128, 10),
        "sequential/probabilities/bias": (10,),
    }
    weights = {name: random.normal(size=shape, scale=0.3).astype(np.float32) for name, shape in shapes.items()}
    tensors = {f"model/{name}": array for name, array in weights.items()}
    tensors["model/seed_generator/seed_generator_state"] = np.array([1, 2], np.uint32)
    tensors["optimizer/adam/learning_rate"] = np.array(0.001, np.float32)
    images = random.random((16, 8, 8))
    store = PosixStore(tmp_path_factory.mktemp("store"))
    log = make_run(store, "digits", JobFiles("sojourn_trainer.tasks.mlp:build", {}, golden={"x0": images}), tensors)
    stages: list[str] = []
    done = sojourn.export("digits", store=store.root, formats=("savedmodel", "keras", "h5"), progress=stages.append)
    log.refresh()
    return Digits(store, log, weights, images.astype(np.float32), done, stages)


@pytest.fixture(scope="session")
def server(digits: Digits) -> Iterator[Server]:
    """Two replicas of the exported digits model, with small limits."""
    running = start_server("digits", "--store", str(digits.store.root), "--replicas", "2", "--max-body", "1")
    eventually(lambda: len(running.pids()) == 2, "both replicas are ready")
    yield running
    running.stop()
