"""B7: the time of a training step in our loop, in a plain loop, and in Ray's TensorflowTrainer. `make bench-steps`.

Two pairs, each interleaved round by round while the other side of the pair sleeps: worker processes without Ray, ours
against a script under TF_CONFIG; and on Ray, `sojourn run` against TensorflowTrainer. A session starts them all anew.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from report import summary, table, write

HERE = Path(__file__).parent
HARNESS = HERE.parent / "tests" / "integration" / "trainer"
START_SECONDS = 180
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"}
PAIRS = (("ours", "plain"), ("ours on Ray", "TensorflowTrainer"))


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often."""

    mode: str
    rounds: int
    warm_up: int
    timed: int
    batch: int
    filters: int

    @property
    def steps(self) -> int:
        return self.rounds * (self.warm_up + self.timed)

    def task(self, gate: str) -> dict[str, Any]:
        return {
            "gate": gate,
            "warm_up": self.warm_up,
            "timed": self.timed,
            "batch": self.batch,
            "filters": self.filters,
        }

    def plain(self, gate: str) -> str:
        return json.dumps({"mode": self.mode, "steps": self.steps, "task": self.task(gate)})

    def manifest(self, gate: str) -> dict[str, Any]:
        """Checkpoints a day apart: only the last step has one, after the last timed step."""
        return {
            "apiVersion": "sojourn.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": "steps"},
            "spec": {
                "strategy": "MultiWorkerMirroredStrategy",
                "workers": {"replicas": 2},
                "task": {"entrypoint": "steps_task:build", "args": self.task(gate)},
                "training": {
                    "globalBatchSize": self.batch,
                    "steps": self.steps,
                    "seed": 7,
                    "mode": self.mode,
                },
                "checkpoint": {"every": {"seconds": 86400}},
            },
        }


@dataclass
class Side:
    """One of the loops: seconds of every timed step, by round, and of the end of each epoch."""

    name: str
    rounds: list[list[float]] = field(default_factory=list)
    epoch_ends: list[float] = field(default_factory=list)

    def milliseconds(self) -> list[float]:
        """Median step of each round."""
        return [statistics.median(steps) * 1e3 for steps in self.rounds]

    def mean_milliseconds(self) -> list[float]:
        """Mean step of each round: what happens only now and then counts too."""
        return [statistics.mean(steps) * 1e3 for steps in self.rounds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6, help="in each session")
    parser.add_argument("--warm-up", type=int, default=10, help="steps of a round that are not timed")
    parser.add_argument("--timed", type=int, default=100, help="steps of a round that are")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--filters", type=int, default=48)
    parser.add_argument("--modes", nargs="+", default=["Exact", "Fast"])
    found = parser.parse_args()
    results = {}
    for mode in found.modes:
        settings = Settings(mode, found.rounds, found.warm_up, found.timed, found.batch, found.filters)
        sides = {name: Side(name) for pair in PAIRS for name in pair}
        for session in range(found.sessions):
            for pair in PAIRS:
                measure([sides[name] for name in pair], settings)
                print(f"{mode}, session {session + 1}: {' and '.join(pair)} measured", file=sys.stderr, flush=True)
        results[mode] = sides
    write("steps", page(results), numbers(results))


def measure(pair: Sequence[Side], settings: Settings) -> None:
    """One session: start both, then run their rounds in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listeners = [Listener(str(folder / f"gate-{i}"), "AF_UNIX") for i in range(len(pair))]
        waits, lines = [], []
        for side, listener in zip(pair, listeners, strict=True):
            own = folder / side.name.replace(" ", "-")
            own.mkdir()
            waits.append(STARTERS[side.name](settings, str(listener.address), own))
            lines.append(accept(listener))
            receive(lines[-1])
        for number in range(settings.rounds):
            for side, line in list(zip(pair, lines, strict=True))[:: 1 if number % 2 == 0 else -1]:
                line.send("go")
                side.rounds.append(receive(line))
                if number < settings.rounds - 1:
                    side.epoch_ends.append(receive(line))
        for wait, listener in zip(waits, listeners, strict=True):
            wait()
            listener.close()


def accept(listener: Listener) -> Connection:
    """The first connection; a side that never starts ends the benchmark."""
    found: list[Connection] = []
    thread = threading.Thread(target=lambda: found.append(listener.accept()), daemon=True)
    thread.start()
    thread.join(START_SECONDS)
    if not found:
        raise SystemExit(f"nothing came through the gate {listener.address} within {START_SECONDS} s")
    return found[0]


def receive(line: Connection) -> Any:
    if not line.poll(START_SECONDS):
        raise SystemExit(f"a side said nothing for {START_SECONDS} s")
    return line.recv()


def start_ours(settings: Settings, gate: str, folder: Path) -> Callable[[], None]:
    """Our worker processes, with the coordinator in this process, as the trainer's tests start them."""
    sys.path.insert(0, str(HARNESS))
    import harness

    from sojourn.api import TrainingJob

    harness.GROUP_TIMEOUT_SECONDS = 3600
    run = harness.LocalRun(harness.new_store(folder), TrainingJob.model_validate(settings.manifest(gate)))
    codes: list[list[int | None]] = []
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    thread = threading.Thread(target=lambda: codes.append(run.attempt(environment).exit_codes), daemon=True)
    thread.start()

    def wait() -> None:
        thread.join()
        if codes != [[0, 0]]:
            raise SystemExit(f"our workers ended with {codes}")

    return wait


def start_plain(settings: Settings, gate: str, folder: Path) -> Callable[[], None]:
    """Two processes that are told of each other by TF_CONFIG."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    with logged(folder) as log:
        processes = [
            subprocess.Popen(
                [sys.executable, str(HERE / "steps_task.py"), settings.plain(gate)],
                env=ENVIRONMENT
                | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}})},
                stdout=log,
                stderr=log,
            )
            for rank in range(2)
        ]
    return lambda: ended(processes, folder)


def start_ours_on_ray(settings: Settings, gate: str, folder: Path) -> Callable[[], None]:
    """`sojourn run`, with the Ray that it starts."""
    job = folder / "job.json"
    job.write_text(json.dumps(settings.manifest(gate)))
    command = ["-m", "sojourn", "run", str(job), "--store", str(folder / "store"), "--output", "json"]
    return start([sys.executable, *command], folder)


def start_tensorflow_trainer(settings: Settings, gate: str, folder: Path) -> Callable[[], None]:
    return start([sys.executable, str(HERE / "steps_ray.py"), settings.plain(gate)], folder)


STARTERS: Mapping[str, Callable[[Settings, str, Path], Callable[[], None]]] = {
    "ours": start_ours,
    "plain": start_plain,
    "ours on Ray": start_ours_on_ray,
    "TensorflowTrainer": start_tensorflow_trainer,
}


def start(command: Sequence[str], folder: Path) -> Callable[[], None]:
    with logged(folder) as log:
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)
    return lambda: ended([process], folder)


@contextmanager
def logged(folder: Path) -> Iterator[Any]:
    with (folder / "log").open("wb") as log:
        yield log


def ended(processes: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(f"{folder.name} ended with {codes}:\n{(folder / 'log').read_text()[-3000:]}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def ratios(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Round by round, of neighbours in time."""
    return [mine / other for mine, other in zip(ours, peer, strict=True)]


def page(results: Mapping[str, Mapping[str, Side]]) -> str:
    rows, compared = [], []
    for mode, sides in results.items():
        for side in sides.values():
            ends = [seconds * 1e3 for seconds in side.epoch_ends]
            rows.append(
                [mode, side.name, summary(side.milliseconds()), summary(side.mean_milliseconds()), summary(ends)]
            )
        for ours, peer in PAIRS:
            left, right = sides[ours], sides[peer]
            medians = ratios(left.milliseconds(), right.milliseconds())
            means = ratios(left.mean_milliseconds(), right.mean_milliseconds())
            compared.append([mode, f"{ours} / {peer}", summary(medians, 3), summary(means, 3)])
    count = len(next(iter(results.values()))["ours"].rounds)
    return (
        f"# Step time\n\nMedian over {count} rounds (lowest to highest), in milliseconds.\n\n"
        + table(["mode", "loop", "median step", "mean step", "between rounds"], rows)
        + "\n\nRatios of rounds that follow each other; the goal is 1.01.\n\n"
        + table(["mode", "ratio", "of median steps", "of mean steps"], compared)
    )


def numbers(results: Mapping[str, Mapping[str, Side]]) -> dict[str, Any]:
    return {
        "milliseconds": {
            mode: {
                side.name: {
                    "medianByRound": side.milliseconds(),
                    "meanByRound": side.mean_milliseconds(),
                    "betweenRounds": [seconds * 1e3 for seconds in side.epoch_ends],
                }
                for side in sides.values()
            }
            for mode, sides in results.items()
        }
    }


if __name__ == "__main__":
    main()
