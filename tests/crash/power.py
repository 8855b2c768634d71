"""Opens the disk states that a power cut may leave at every moment of a story.

`python -m crash.power STORY... FOLDER [--every N]` prints a line of JSON for each state. States that are the same, with
the same promises, are looked at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from crash.disk import Disk, Survives, fates
from crash.strikes import Outcome, Stage, command, problem_of


def power_cuts(stage: Stage, every: int = 1, offset: int = 0) -> Iterator[Outcome]:
    """The outcome of each state, of every so-many-th moment at which the disk may have changed."""
    calls = stage.rehearse(data=True)
    stage.reset()
    disk = Disk(stage.world)
    told: list[str] = []
    seen: set[tuple[str, int]] = set()
    moment = 0
    for call in calls:
        if call.name == "mark":
            told.append(call.about[0])
        elif not disk.apply(call):
            continue
        moment += 1
        if moment % every != offset:
            continue
        for name, survives in fates(call.number).items():
            _write(disk, survives, stage.world)
            state = (_digest(stage.world), len(told))
            if state in seen:
                continue
            seen.add(state)
            problem = ""
            for number, ending in enumerate(stage.story.endings):
                if number:
                    _write(disk, fates(call.number)[name], stage.world)
                problem = problem or problem_of(lambda ending=ending: ending(stage.world, list(told)))  # type: ignore[misc]
            yield Outcome(stage.story.name, call.number, stage.describe(call), name, problem)


def _write(disk: Disk, survives: Survives, world: Path) -> None:
    shutil.rmtree(world)
    disk.root.write(world, survives)


def _digest(folder: Path) -> str:
    whole = blake3()
    for path in sorted(folder.rglob("*")):
        content = b"/" if path.is_dir() else path.read_bytes()
        whole.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return whole.hexdigest()


if __name__ == "__main__":
    command(power_cuts, __doc__)
