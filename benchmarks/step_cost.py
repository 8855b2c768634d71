"""What our loop and a plain one spend on a tiny step, in processor time, which a busy machine hardly changes.

One process, one worker under MultiWorkerMirroredStrategy, the network of steps_task.py so small that the loop shows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import keras

from report import summary, table, write
from sojourn_trainer.loop import fit
from sojourn_trainer.loop.build import set_up_runtime
from sojourn_trainer.loop.session import Session
from sojourn_trainer.node.ports import free_ports
from sojourn_trainer.strategies import STRATEGIES, Place
from sojourn_trainer.task import Task
from sojourn_trainer.workers.assignment import Assignment
from steps_task import task_on_noise, train_plainly

HARNESS = Path(__file__).parents[1] / "tests" / "integration" / "trainer"
STRATEGY = "MultiWorkerMirroredStrategy"
BATCH, FILTERS, WARM_UP = 8, 2, 20


class Meter(keras.callbacks.Callback):
    """Microseconds per step of each round: of the training thread, of the whole process, on the wall."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self._count = 0
        self._begun = (0.0, 0.0, 0.0)
        self.rounds: list[tuple[float, ...]] = []

    def get_state(self) -> None:
        """Nothing of it belongs to the run."""

    def set_state(self, state: None) -> None:
        return

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        return

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._count += 1
        now = (time.thread_time(), time.process_time(), time.perf_counter())
        if self._count == WARM_UP:
            self._begun = now
        if self._count == WARM_UP + self._steps:
            self.rounds.append(
                tuple((end - begin) / self._steps * 1e6 for begin, end in zip(self._begun, now, strict=True))
            )
            self._count = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=300, help="timed steps of a round")
    found = parser.parse_args()
    place = Place((f"127.0.0.1:{free_ports(1)[0]}",), 0)
    os.environ.update(STRATEGIES[STRATEGY].environment(place))
    with tempfile.TemporaryDirectory() as folder:
        meters = {"ours": ours(Path(folder), place, found), "plain": plain(found)}
    columns = [[name, *(summary(values, 0) for values in zip(*m.rounds, strict=True))] for name, m in meters.items()]
    head = ["loop", "training thread", "process", "wall"]
    page = f"# Cost of a step\n\nMicroseconds per step, median of {found.rounds} rounds (lowest to highest).\n\n"
    medians = {name: [statistics.median(v) for v in zip(*m.rounds, strict=True)] for name, m in meters.items()}
    write("step_cost", page + table(head, columns), {"microseconds": medians})


def ours(folder: Path, place: Place, found: argparse.Namespace) -> Meter:
    """Our loop in this process, with the coordinator beside it."""
    sys.path.insert(0, str(HARNESS))
    from harness import LocalRun, job, new_store

    steps = found.rounds * (WARM_UP + found.steps)
    manifest = job(
        strategy=STRATEGY,
        workers__replicas=1,
        data=None,
        training={"globalBatchSize": BATCH, "steps": steps, "seed": 7},
        checkpoint__every={"seconds": 86400},
    )
    run = LocalRun(new_store(folder), manifest)
    set_up_runtime(manifest.spec.training)
    strategy = STRATEGIES[STRATEGY].create(place)
    coordinator, _ = run.coordinator()
    attempt_id = str(uuid.uuid4())
    start = coordinator.begin_attempt(attempt_id, 1, {})
    prepared = run.prepared
    assignment = Assignment(
        run=prepared.run,
        job=manifest.to_manifest(),
        job_folder=prepared.job_folder,
        spec_digest=prepared.spec_digest,
        attempt_id=attempt_id,
        term=start.term,
        place=place,
        restore=start.restore,
    )
    meter = Meter(found.steps)
    with strategy.scope():
        task = task_on_noise(BATCH * (WARM_UP + found.steps), FILTERS, meter)
    fit.train(Session(manifest, assignment, run.store, strategy, coordinator, time.monotonic), task)
    coordinator.close()
    return meter


def plain(found: argparse.Namespace) -> Meter:
    """The loop that a script has."""
    meter = Meter(found.steps)

    def build(batch: int) -> Task:
        return task_on_noise(batch * (WARM_UP + found.steps), FILTERS, meter)

    steps = found.rounds * (WARM_UP + found.steps)
    train_plainly({"mode": "Exact", "steps": steps, "task": {"batch": BATCH}}, build)
    return meter


if __name__ == "__main__":
    main()
