"""What saving costs training (goals B1 and B2): ours beside what TensorFlow, Keras and Orbax offer.

    python benchmarks/save.py [--megabytes 300] [--rounds 3] [--steps 45] [--every 15] [--sides ours,tensorflow,...]

Each side trains alone in a process of its own, the sides in turn, round by round. A side's stall of a save is by how
much the step that saves and the five after it took longer than that side's median step without a save.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from report import OUT, summary, table, write

HERE = Path(__file__).parent
SIDES = ("none", "ours", "tensorflow", "tensorflow-async", "keras", "orbax-async")
AFTER = 5
ORBAX = ("orbax-checkpoint==0.12.4", "jax")

Round = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="weights and both of Adam's slots")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=45)
    parser.add_argument("--every", type=int, default=15, help="steps between saves")
    parser.add_argument("--folder", type=Path, help="where checkpoints are written: a disk, not tmpfs")
    parser.add_argument("--sides", default=",".join(SIDES))
    options = parser.parse_args()
    sides = options.sides.split(",")
    found: dict[str, list[Round]] = {side: [] for side in sides}
    problems: dict[str, str] = {}
    for number in range(options.rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            if side in problems:
                continue
            try:
                found[side].append(one_round(side, options))
            except subprocess.CalledProcessError as error:
                problems[side] = (error.stderr or "").strip().splitlines()[-1:][0] if error.stderr else str(error)
            print(f"round {number + 1}, {side}: {'failed' if side in problems else 'done'}", file=sys.stderr)
        # After every round, so that whoever has no patience for all of them has something.
        results = {side: costs(rounds, options.every) for side, rounds in found.items() if rounds}
        write("save", page(results, problems, options), {"rounds": found, "results": results, "problems": problems})
        plot(found, options.every)


def one_round(side: str, options: argparse.Namespace) -> Round:
    """Train once; returns seconds per step, seconds until each checkpoint is whole, and the peak memory."""
    python = orbax_python() if side == "orbax-async" else sys.executable
    with tempfile.TemporaryDirectory(prefix="bench-save-", dir=options.folder) as folder:
        command = [python, str(HERE / "save_sides.py"), side, folder, *map(str, shape(options))]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        )
    result: Round = json.loads(done.stdout.splitlines()[-1])
    return result


def shape(options: argparse.Namespace) -> tuple[int, int, int]:
    return options.megabytes, options.steps, options.every


def orbax_python() -> str:
    """Orbax has an environment of its own, which is made once."""
    folder = OUT / "orbax"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *ORBAX], check=True)
        (folder / "ready").touch()
    return str(python)


def costs(rounds: Sequence[Round], every: int) -> dict[str, list[float]]:
    """Over all rounds: seconds of the median step, of each save's stall, until it was whole, and peak MB."""
    found: dict[str, list[float]] = {"step": [], "stall": [], "whole": [], "rss": [], "whole run": []}
    for one in rounds:
        usual = statistics.median(undisturbed(one["steps"], every))
        found["step"].append(usual)
        for at in saves_at(one["steps"], every):
            window = one["steps"][at : at + 1 + AFTER]
            found["stall"].append(sum(window) - usual * len(window))
        found["whole"] += one["whole"]
        found["rss"].append(one["rss"])
        found["whole run"].append(sum(one["steps"]))
    return found


def saves_at(steps: Sequence[float], every: int) -> list[int]:
    """Indices of the steps that end with a save and have as many after them as count."""
    return [at for at in range(every - 1, len(steps), every) if at + AFTER < len(steps)]


def undisturbed(steps: Sequence[float], every: int) -> list[float]:
    near = {index for at in saves_at(steps, every) for index in range(at, at + 1 + AFTER)}
    return [seconds for index, seconds in enumerate(steps) if index >= 2 and index not in near]


def page(results: Mapping[str, Mapping[str, list[float]]], problems: Mapping[str, str], options: Any) -> str:
    """The figures and what they say of the goals."""
    rows = []
    base = statistics.median(results["tensorflow"]["stall"]) if "tensorflow" in results else None
    for side, found in results.items():
        stall = statistics.median(found["stall"]) if side != "none" else None
        ratio = f"{stall / base:.2f}" if stall is not None and base else ""
        rows.append(
            [
                side,
                summary(found["step"], 3),
                "" if stall is None else summary(found["stall"], 2),
                ratio,
                summary(found["whole"], 2) if found["whole"] else "",
                f"{statistics.median(found['rss']):,.0f}",
            ]
        )
    head = ("side", "step, s", "stall of a save, s", "to TensorFlow's", "until it is whole, s", "peak memory, MB")
    said = [
        f"State of {options.megabytes} MB, {options.steps} steps, a save after every {options.every}, "
        f"{options.rounds} rounds. Median (least to most).",
        table(head, rows),
        *(f"`{side}` did not run: {problem}" for side, problem in problems.items()),
    ]
    return "\n\n".join(said)


def plot(found: Mapping[str, Sequence[Round]], every: int) -> None:
    """Seconds per step over the first round of each side, as benchmarks/out/save.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    for side, rounds in found.items():
        if rounds:
            axes.plot(range(1, len(rounds[-1]["steps"]) + 1), rounds[-1]["steps"], marker=".", label=side)
            for at in saves_at(rounds[-1]["steps"], every):
                axes.axvline(at + 1, color="0.85", zorder=0)
    axes.set(xlabel="step (grey: a save)", ylabel="seconds", yscale="log", title="A step with and without a save")
    axes.legend()
    figure.tight_layout()
    figure.savefig(OUT / "save.png", dpi=120)


if __name__ == "__main__":
    main()
