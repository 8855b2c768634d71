"""From process start to the first step, in parts, ours and TensorflowTrainer's; from kill -9 to the next step.

`make bench-launch`. Rounds alternate, and each starts its own Ray. Files come from the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from report import summary, table, write
from sojourn import events

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "demo"))
from stage import kill_a_worker  # noqa: E402

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3"}
BATCH, FILTERS, SAVE_EVERY = 128, 24, 50
PARTS = (
    "command",
    "start Ray",
    "driver process",
    "connect to Ray",
    "worker group",
    "import TensorFlow",
    "form group",
    "build task",
    "first step",
)
# Both sides' parts, put together so that they compare: TensorflowTrainer imports TensorFlow as it forms its workers.
GROUPS = (
    ("until Ray is started", ("command", "start Ray", "driver process", "connect to Ray"), ("command", "start Ray")),
    ("worker group, import TensorFlow", ("worker group", "import TensorFlow"), ("worker group", "import TensorFlow")),
    ("form group, build, first step", ("form group", "build task", "first step"), ("later parts",)),
)
E = TypeVar("E", bound=events.Event)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    found = parser.parse_args()
    ours, recoveries, peer = [], [], []
    for number in range(found.rounds):
        with tempfile.TemporaryDirectory() as folder:
            launch, recovery = ours_once(Path(folder))
        ours.append(launch)
        recoveries.append(recovery)
        with tempfile.TemporaryDirectory() as folder:
            peer.append(peer_once(Path(folder)))
        print(f"round {number + 1} of {found.rounds} measured", file=sys.stderr, flush=True)
    write("launch", page(ours, peer, recoveries), {"ours": ours, "TensorflowTrainer": peer, "recovery": recoveries})


def ours_once(folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """`sojourn run` to its first step, on to a commit, a kill -9, and on until it reports a step beyond the commit."""
    marks = folder / "marks"
    job = folder / "job.json"
    job.write_text(json.dumps(manifest(str(marks))))
    command = [sys.executable, "-m", "sojourn", "run", str(job), "--store", str(folder / "store"), "--output", "json"]
    seen: list[events.Event] = []
    begun = time.time()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=log)
        stream = follow(process, seen)
        committed = stream(events.Committed, lambda _: True)
        killed = time.time()
        kill_a_worker(process.pid)
        started = stream(events.Started, lambda event: event.time > killed)
        reported = stream(events.Progress, lambda event: event.time > killed and event.step > committed.step)
        process.send_signal(signal.SIGINT)
        stream(events.Suspended, lambda _: True)
        process.wait()
    attempts = steps_by_process(marks)
    first, again = (times[0] for times in list(attempts.values())[:2])
    recovery = {
        "lost attempt is noticed": one(seen, events.AttemptFailed).time - killed,
        "workers train again": started.time - killed,
        "first step": again - killed,
        "progress beyond the commit": reported.time - killed,
    }
    return parts_of(begun, [event for event in seen if isinstance(event, events.Launch)], first), recovery


def peer_once(folder: Path) -> dict[str, float]:
    """The same model and step function under TensorflowTrainer, to its first step."""
    marks, phases = folder / "marks", folder / "phases"
    settings = {"mode": "Exact", "steps": 5, "phases": str(phases), "task": task(str(marks))}
    begun = time.time()
    with (folder / "log").open("wb") as log:
        subprocess.run(
            [sys.executable, str(HERE / "launch_ray.py"), json.dumps(settings)],
            env=ENVIRONMENT,
            stdout=log,
            stderr=log,
            check=True,
        )
    first = next(iter(steps_by_process(marks).values()))[0]
    found, before = {}, begun
    for line in phases.read_text().splitlines():
        phase = json.loads(line)
        found[phase["phase"]] = phase["time"] - before
        before = phase["time"]
    return found | {"later parts": first - before, "total": first - begun}


def task(marks: str) -> dict[str, Any]:
    return {"marks": marks, "batch": BATCH, "filters": FILTERS}


def manifest(marks: str) -> dict[str, Any]:
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "launch"},
        "spec": {
            "strategy": "MultiWorkerMirroredStrategy",
            "workers": {"replicas": 2},
            "task": {"entrypoint": "launch_task:build", "args": task(marks)},
            "training": {"globalBatchSize": BATCH, "steps": 1_000_000, "seed": 7},
            "checkpoint": {"every": {"steps": SAVE_EVERY}},
        },
    }


def follow(process: subprocess.Popen[bytes], seen: list[events.Event]) -> Callable[[type[E], Callable[[E], bool]], E]:
    """A function that reads on, up to an event that fits, and keeps all that it reads in `seen`."""

    def read_to(kind: type[E], fits: Callable[[E], bool]) -> E:
        assert process.stdout is not None
        for line in process.stdout:
            event = events.decode(line.decode())
            if event is None:
                continue
            seen.append(event)
            if isinstance(event, events.Failed):
                raise SystemExit(f"the run failed: {event.message}")
            if isinstance(event, kind) and fits(event):
                return event
        raise SystemExit(f"the run ended before its {kind.__name__}; it told {seen[-3:]}")

    return read_to


def steps_by_process(marks: Path) -> Mapping[str, list[float]]:
    """Unix seconds of every step, by the process that took it, in order of their starts."""
    found: dict[str, list[float]] = {}
    for line in marks.read_text().splitlines():
        pid, when = line.split()
        found.setdefault(pid, []).append(float(when))
    return found


def parts_of(begun: float, launches: Sequence[events.Launch], first_step: float) -> dict[str, float]:
    """Seconds of each part, first attempt only; what lies between two events is named by what happens there."""
    at: dict[str, events.Launch] = {}
    for event in launches:
        at.setdefault(event.phase, event)
    ray, connect, tensorflow = at["start Ray"], at["connect to Ray"], at["import TensorFlow"]
    return {
        "command": ray.time - ray.seconds - begun,
        "start Ray": ray.seconds,
        "driver process": connect.time - connect.seconds - ray.time,
        "connect to Ray": connect.seconds,
        "worker group": tensorflow.time - tensorflow.seconds - connect.time,
        "import TensorFlow": tensorflow.seconds,
        "form group": at["form group"].seconds,
        "build task": at["build task"].seconds,
        "first step": first_step - at["build task"].time,
        "total": first_step - begun,
    }


def one(seen: Sequence[events.Event], kind: type[E]) -> E:
    return next(event for event in seen if isinstance(event, kind))


def page(ours: Sequence[dict[str, float]], peer: Sequence[dict[str, float]], kills: Sequence[dict[str, float]]) -> str:
    rows = []
    for title, mine, theirs in GROUPS:
        sides = ((ours, mine), (peer, theirs))
        sums = [[sum(launch[name] for name in names) for launch in launches] for launches, names in sides]
        rows.append([title, *(summary(values, 1) for values in sums)])
    parts = [[name, summary([launch[name] for launch in ours], 1)] for name in PARTS]
    totals = [[launch["total"] for launch in side] for side in (ours, peer)]
    rows.append(["total", *(summary(total, 1) for total in totals)])
    ratio = statistics.median(totals[0]) / statistics.median(totals[1])
    return (
        f"# Launch and recovery\n\nSeconds, median of {len(ours)} rounds (lowest to highest).\n\n"
        + table(["part", "ours", "TensorflowTrainer"], rows)
        + "\n\n"
        + table(["part of ours", "seconds"], parts)
        + f"\n\nOurs takes {ratio:.2f} times as long; the goal is at most 1.\n\n"
        + table(["after kill -9 of a worker", "ours"], [[k, summary([r[k] for r in kills], 1)] for k in kills[0]])
    )


if __name__ == "__main__":
    main()
