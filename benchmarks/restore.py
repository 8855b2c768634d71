"""From process start to the first step after a restore (goal B3): ours beside TensorFlow, Keras and Orbax.

    python benchmarks/restore.py [--megabytes 300] [--rounds 5] [--folder DIR] [--sides ours,tensorflow,...]

Each side saves once. Then each restores in a process of its own, in turn, round by round: warm (its files are in the
page cache) and cold (they have been evicted). Beside the cold ones, fio reads ours' data file after evicting it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from report import OUT, summary, table, write
from save import orbax_python

HERE = Path(__file__).parent
SIDES = ("ours", "tensorflow", "keras", "orbax")
PARTS = ("import", "build", "read", "assign", "first step")

Round = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300, help="weights and both of Adam's slots")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where checkpoints are: a disk, not tmpfs")
    parser.add_argument("--sides", default=",".join(SIDES))
    options = parser.parse_args()
    sides = options.sides.split(",")
    fio = find_fio()
    found: dict[str, dict[str, list[Round]]] = {way: {side: [] for side in sides} for way in ("warm", "cold")}
    disk: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-restore-", dir=options.folder) as name:
        folder = Path(name)
        for side in sides:
            (folder / side).mkdir()
            one(side, folder / side, options.megabytes, "save")
        os.sync()
        for number in range(options.rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                touch(folder / side)
                found["warm"][side].append(one(side, folder / side, options.megabytes, "restore"))
                evict(folder / side)
                found["cold"][side].append(one(side, folder / side, options.megabytes, "restore"))
                print(f"round {number + 1}, {side}: done", file=sys.stderr, flush=True)
            if fio and "ours" in sides:
                disk.append(fio_rate(fio, folder / "ours"))
            # After every round, so that whoever has no patience for all of them has something.
            write("restore", page(found, disk, options), {"rounds": found, "fioMBps": disk})
            plot(found)


def one(side: str, folder: Path, megabytes: int, what: str) -> Round:
    """Seconds by part, and the peak memory in MB."""
    python = orbax_python() if side == "orbax" else sys.executable
    command = [python, str(HERE / "restore_sides.py"), side, str(folder), str(megabytes), str(time.time()), what]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{side} failed to {what}:\n{done.stderr[-2000:]}")
    result: Round = json.loads(done.stdout.splitlines()[-1])
    return result


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def touch(folder: Path) -> None:
    """Bring all files into the page cache."""
    for path in files(folder):
        with path.open("rb", buffering=0) as file:
            while file.read(8 << 20):
                pass


def evict(folder: Path) -> None:
    """Take all files out of the page cache; they were synced before."""
    for path in files(folder):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def find_fio() -> str | None:
    """Install it if it is missing, where that is possible."""
    if shutil.which("fio") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", "fio"], check=False, capture_output=True
        )
    return shutil.which("fio")


def fio_rate(fio: str, folder: Path) -> float:
    """MB/s of a sequential read of the checkpoint's data file through the page cache, after evicting it."""
    evict(folder)
    data = max(files(folder), key=lambda path: path.stat().st_size)
    command = [fio, "--name=read", f"--filename={data}", "--rw=read", "--bs=8m", "--ioengine=psync"]
    done = subprocess.run(
        [*command, "--invalidate=0", "--readonly", "--output-format=json"], check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout)["jobs"][0]["read"]["bw_bytes"]) / 1e6


def loaded(one: Round) -> float:
    """Seconds from the built model to the restored one."""
    return one["read"] + one.get("assign", 0.0)


def ready(one: Round) -> float:
    """The same and the first step, which pays for whatever the restore put off."""
    return loaded(one) + one["first step"]


def page(found: Mapping[str, Mapping[str, Sequence[Round]]], disk: Sequence[float], options: argparse.Namespace) -> str:
    count = max(len(rounds) for sides in found.values() for rounds in sides.values())
    said = [
        f"State of {options.megabytes} MB, {count} rounds. Seconds, median (least to most); "
        "the ratio is between runs of the same round."
    ]
    for way, sides in found.items():
        rows = []
        for side, rounds in sides.items():
            if not rounds:
                continue
            cells = [summary([r[part] for r in rounds], 2) if part in rounds[0] else "" for part in PARTS]
            base = sides.get("tensorflow", ())
            ratios = [loaded(theirs) / loaded(mine) for theirs, mine in zip(base, rounds, strict=False)]
            rows.append(
                [
                    side,
                    *cells,
                    summary([sum(r.get(part, 0.0) for part in PARTS) for r in rounds], 2),
                    summary(ratios, 2) if ratios else "",
                    f"{statistics.median(r['rss'] for r in rounds):,.0f}",
                ]
            )
        head = (way, *PARTS, "in all", "TensorFlow's read + assign to this", "peak memory, MB")
        said.append(table(head, rows))
    ours = found["cold"].get("ours", ())
    if ours and disk:
        rates = [options.megabytes / r["read"] for r in ours]
        shares = [rate / of for rate, of in zip(rates, disk, strict=False)]
        said.append(
            f"Cold, ours reads and verifies {summary(rates, 0)} MB/s; fio reads {summary(disk, 0)} MB/s in the same "
            f"rounds, so ours reaches {summary(shares, 2)} of it; the goal is 0.85."
        )
    return "\n\n".join(said)


def plot(found: Mapping[str, Mapping[str, Sequence[Round]]]) -> None:
    """Medians of the parts, stacked, as benchmarks/out/restore.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = [(f"{side}, {way}", rounds) for way, sides in found.items() for side, rounds in sides.items() if rounds]
    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    left = [0.0] * len(bars)
    for part in PARTS:
        seconds = [statistics.median(r.get(part, 0.0) for r in rounds) for _, rounds in bars]
        axes.barh([label for label, _ in bars], seconds, left=left, label=part)
        left = [before + more for before, more in zip(left, seconds, strict=True)]
    axes.set(xlabel="seconds since the process was started", title="From process start to the first step")
    axes.invert_yaxis()
    axes.legend()
    figure.tight_layout()
    figure.savefig(OUT / "restore.png", dpi=120)


if __name__ == "__main__":
    main()
