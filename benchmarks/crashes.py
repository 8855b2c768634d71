"""Crashes of the core writer: every kill, fault and power cut, what came out, and the list of all points.

`make bench-crash` runs all of them, which takes a while; `--every 50` a fiftieth, `--only kills` one kind.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import report
from crash.matrix import run
from crash.preload import build
from crash.stories import STORIES

KINDS = {"kills": "crash.strikes", "faults": "crash.faults", "power cuts": "crash.power"}
WHAT = {"kills": "kill -9", "faults": "failing calls", "power cuts": "power cuts"}
MEMORY = Path("/dev/shm")
POINTS = report.OUT / "crash-points.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only one point in so many")
    parser.add_argument("--only", choices=KINDS, action="append")
    arguments = parser.parse_args()
    report.OUT.mkdir(exist_ok=True)
    POINTS.write_text("")
    rows: list[list[str]] = []
    outcomes: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as built:
        library = build(Path(built))
        for kind in arguments.only or KINDS:
            for story in STORIES:
                began = time.monotonic()
                found = _run(KINDS[kind], story.name, arguments.every, library)
                seconds = time.monotonic() - began
                outcomes += found
                # A run that is broken off keeps what it has.
                with POINTS.open("a") as file:
                    file.writelines(json.dumps(outcome) + "\n" for outcome in found)
                bad = sum(bool(outcome["problem"]) for outcome in found)
                rows.append([WHAT[kind], story.name, f"{len(found):,}", f"{len(found) - bad:,}", f"{seconds:.0f} s"])
                print(" | ".join(rows[-1]), flush=True)
    _write(rows, outcomes, arguments.every)
    for outcome in outcomes:
        if outcome["problem"]:
            print(outcome["story"], outcome["number"], outcome["call"], outcome["action"], outcome["problem"], sep="\n")
    raise SystemExit(any(outcome["problem"] for outcome in outcomes))


def _run(module: str, story: str, every: int, library: Path) -> list[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="sojourn-crash-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        return run(module, [story, str(folder), "--every", str(every)], library)
    finally:
        shutil.rmtree(folder)


def _write(rows: Sequence[Sequence[str]], outcomes: Sequence[dict[str, Any]], every: int) -> None:
    bad = sum(bool(outcome["problem"]) for outcome in outcomes)
    kinds = Counter(f"{outcome['action']}" for outcome in outcomes)
    head = ["what", "story", "points", "came out right", "time"]
    share = "every point" if every == 1 else f"one point in {every}"
    page = "\n\n".join(
        [
            f"# Crashes of the core writer\n\n{len(outcomes):,} points ({share}), {bad} of them with a problem.",
            report.table(head, rows),
            report.table(["what befell the call", "points"], [[name, f"{n:,}"] for name, n in sorted(kinds.items())]),
        ]
    )
    report.write("crash", page, {"every": every, "points": len(outcomes), "bad": bad, "rows": rows})


if __name__ == "__main__":
    main()
