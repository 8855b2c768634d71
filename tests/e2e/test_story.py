"""One run's whole life on two real clusters: everything happens to it, and it ends in the bits of one spared it all."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.attempts import Attempt
from e2e.clusters.layout import POD_USER
from e2e.clusters.network import Link
from e2e.journeys import Place, complete
from e2e.transfers import wait_for_bytes
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

pytestmark = pytest.mark.e2e

# Dropout's seeds, the statistics of each replica and the optimizer's moments have to survive, not the weights alone.
CODE = """
import time

import keras


class Pace(keras.callbacks.Callback):
    def __init__(self, pause):
        super().__init__()
        self.pause = pause

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(self.pause)


def build(pause=0.0):
    from sojourn_trainer import Task

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return Task(model, callbacks=[Pace(pause)])
"""
JOB: dict[str, Any] = {
    "strategy": "MultiWorkerMirroredStrategy",
    "workers": {"replicas": 2, "resources": {"cpu": "900m", "memory": "2Gi"}},
    # Slow enough that a test can act between two steps.
    "task": {"entrypoint": "tasks:build", "code": {"configMap": {"name": "code"}}, "args": {"pause": 0.05}},
    "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
    "training": {"globalBatchSize": 128, "steps": 100000, "seed": 11, "mode": "Exact"},
    "checkpoint": {"store": {"name": "runs"}, "every": {"seconds": 3}},
    "export": {"formats": ["SavedModel"]},
    "podTemplate": {"sharedMemory": "256Mi"},
    "terminationGracePeriodSeconds": 40,
}
STEPS_AFTER_SUSPENSION = 300


@pytest.fixture(scope="module")
def here(places: tuple[Place, Place]) -> Place:
    """East, where the run begins."""
    here = places[0]
    here.apply_code(CODE)
    here.apply_job("digits", JOB)
    return here


def last_checkpoint(place: Place, name: str = "digits") -> tuple[int, dict[str, np.ndarray]]:
    """The step and all variables of a run's newest checkpoint."""
    log = find_run(PosixStore(place.folder), name, place.namespace)
    assert log.state.latest is not None
    return log.state.latest.step, CheckpointReader(log.store, log.prefix, log.state.latest).read()


def test_it_outlives_its_worker_and_then_its_head_and_the_operator_together(here: Place) -> None:
    job = here.job()
    before = job.trains(1, beyond=0)
    Attempt(job.cluster, job.namespace, "digits-1").kill(job.pod(1, 1))
    status = job.until(lambda status: status["term"] > before["term"], "another term")
    status = job.trains(1, beyond=status["lastCommit"]["step"])
    here.operator.kill()
    Attempt(job.cluster, job.namespace, "digits-1").kill(job.pod(1, 0))
    here.operator.start()
    job.trains(2, beyond=status["lastCommit"]["step"])


def test_it_is_suspended_and_goes_on(here: Place) -> None:
    job = here.job()
    job.patch(suspend=True)
    step = job.phase("Suspended", 120)["lastCommit"]["step"]
    job.patch(suspend=False, training={"steps": step + STEPS_AFTER_SUSPENSION})
    job.trains(3, beyond=step)


def test_it_moves_over_a_slow_link_that_is_cut_twice(here: Place, there: Place, link: Link) -> None:
    source = find_run(PosixStore(here.folder), "digits", here.namespace)
    _enlarge(Path(here.folder, source.prefix, "job", "aa"), megabytes=100)
    link.shape(rate_mbit=200, delay_ms=20)
    here.migrate(
        "to-west",
        mode="Cold",
        source={"trainingJob": "digits"},
        target={"cluster": here.other, "namespace": there.namespace},
        # Not beside the target's start: how far the source trains meanwhile would depend on the machine.
        resume={"standby": False},
        serve={"replicas": 1, "resources": {"cpu": "300m", "memory": "1Gi"}},
    )
    for megabytes in (20, 60):
        wait_for_bytes(there.folder, megabytes << 20)
        link.cut()
        lost = link.state().dropped
        here.until("to-west", lambda _, lost=lost: link.state().dropped > lost + 20, "what was under way is lost", 60)
        link.heal()
    status = here.until("to-west", lambda status: status.get("resumedStep") is not None, "it trains there")
    assert status["resumedStep"] == status["committedStep"] < here.job().get()["spec"]["training"]["steps"]
    assert status["bytes"] > 100 << 20
    assert source.refresh().fence is not None


def test_it_ends_in_the_bits_of_a_run_to_which_nothing_happened(here: Place, there: Place) -> None:
    steps = here.job().get()["spec"]["training"]["steps"]
    task = {**JOB["task"], "args": {"pause": 0.0}}
    spared = {name: value for name, value in JOB.items() if name != "export"}
    here.apply_job("spared", {**spared, "task": task, "training": {**JOB["training"], "steps": steps}})
    there.job().phase("Complete", 300)
    assert here.job("spared").phase("Complete", 300)["attempts"] == 1
    step, moved = last_checkpoint(there)
    spared_step, expected = last_checkpoint(here, "spared")
    assert step == spared_step == steps
    assert any("seed_generator" in name for name in expected)
    assert moved.keys() == expected.keys()
    assert [name for name in expected if moved[name].tobytes() != expected[name].tobytes()] == []
    assert verify_run(find_run(PosixStore(there.folder), "digits", there.namespace)).ok


def test_the_server_gives_the_answers_that_the_export_recorded(here: Place, there: Place, tmp_path: Path) -> None:
    here.until("to-west", complete, "the migration is complete")
    log = find_run(PosixStore(there.folder), "digits", there.namespace)
    golden = np.load(io.BytesIO(log.store.read(f"{log.prefix}/{log.state.exports[-1].key}/golden.npz")))
    (inputs,) = [golden[name] for name in golden.files if name.startswith("inputs/")]
    (outputs,) = [golden[name] for name in golden.files if name.startswith("outputs/")]
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": inputs.tolist()}))
    service = f"/api/v1/namespaces/{there.namespace}/services/http:digits:http"
    answer = there.cluster.kubectl("create", "--raw", f"{service}/proxy/v1/models/digits:predict", "-f", body)
    np.testing.assert_allclose(json.loads(answer)["predictions"], outputs, atol=1e-6)
    np.testing.assert_allclose(np.sum(outputs, axis=1), 1, atol=1e-5)


def test_what_has_ended_is_carried_back(here: Place, there: Place) -> None:
    there.migrate(
        "back",
        mode="Cold",
        source={"trainingJob": "digits"},
        target={"cluster": there.other, "namespace": here.namespace},
    )
    there.until("back", complete, "the migration is complete")
    (step, moved), (back_step, back) = last_checkpoint(there), last_checkpoint(here)
    assert step == back_step
    assert {name: array.tobytes() for name, array in back.items()} == {
        name: array.tobytes() for name, array in moved.items()
    }


def _enlarge(folder: Path, megabytes: int) -> None:
    """Give the run something to carry that takes a while."""
    folder.mkdir()
    (folder / "data.bin").write_bytes(os.urandom(megabytes << 20))
    for path in (folder, folder / "data.bin"):
        os.chown(path, POD_USER, POD_USER)
