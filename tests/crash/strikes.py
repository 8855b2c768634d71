"""Plays stories in forked processes that are struck at chosen calls, and looks at what is left.

A process of its own, started with the library of preload.c: `python -m crash.strikes STORY... FOLDER [--every N]`
prints a line of JSON for each point. Modules are imported once; each strike takes a fork.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from crash import preload
from crash.preload import Action, Call
from crash.stories import ALL, Story, Tell

_UNIQUE = re.compile(r"(?<=tmp-)[0-9a-f]{32}")
_ENDED, _BROKE = 0, 70


@dataclass(frozen=True, slots=True)
class Outcome:
    """One strike: where, and what went wrong afterwards ("" if nothing)."""

    story: str
    number: int
    call: str
    action: str
    problem: str = ""


class Stage:
    """Where a story is played again and again. `folder` has to be on a real file system, and is emptied."""

    def __init__(self, story: Story, folder: Path) -> None:
        self.story = story
        self.world = folder / "world"
        self._prepared = folder / "prepared"
        self._struck = folder / "struck"
        self._notes = folder / "notes"
        self.world.mkdir(parents=True)
        status = _in_child(lambda: story.prepare(self.world))
        assert status == _ENDED, f"{story.name} could not be prepared"
        shutil.copytree(self.world, self._prepared)

    def rehearse(self, *, data: bool = False) -> list[Call]:
        """The calls of the undisturbed story, and what it tells between them (named "mark")."""
        self.reset()
        told, status = self.perform(lambda: None, notes=self._notes, data=data)
        assert status == _ENDED, told
        calls = preload.read_notes(self._notes)
        numbers = [call.number for call in calls if call.name != "mark"]
        assert numbers == list(range(1, len(numbers) + 1)), "calls that were not written down"
        return calls

    def reset(self) -> None:
        """The world as it was before the story."""
        _copy(self._prepared, self.world)

    def strike(self, call: Call, action: Action) -> Outcome:
        """Play with a strike at this call, then every ending."""
        self.reset()
        told, status = self.perform(lambda: preload.arm(call.number, call.number, action))
        problem = ""
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            problem = f"it was not killed but ended with status {status}"
        else:
            _copy(self.world, self._struck)
            for number, ending in enumerate(self.story.endings):
                if number:
                    _copy(self._struck, self.world)
                problem = problem or problem_of(lambda ending=ending: ending(self.world, told))  # type: ignore[misc]
        return Outcome(self.story.name, call.number, self.describe(call), action.name, problem)

    def describe(self, call: Call) -> str:
        """The call for people: its name and the names of files, the same in every run of the story."""
        names = [part for part in call.about if part.startswith(str(self.world))]
        return " ".join([call.name, *(_UNIQUE.sub("*", name[len(str(self.world)) + 1 :]) for name in names)])

    def perform(
        self,
        arm: Callable[[], None],
        *,
        around: Callable[[Tell], None] | None = None,
        notes: Path | None = None,
        data: bool = False,
    ) -> tuple[list[str], int]:
        """Play the story in a child; returns what it told, and its wait status.

        Args:
            arm: called in the child right before.
            around: what the child does in place of only playing the story.
            notes: where to write the calls down, with the bytes written if `data`.
        """
        reading, writing = os.pipe()

        def tell(line: str) -> None:
            os.write(writing, f"{line}\n".encode())
            preload.mark(line)

        def play() -> None:
            with preload.watched([self.world]), preload.noted(notes or Path(os.devnull), data=data):
                arm()
                if around:
                    around(tell)
                else:
                    self.story.play(self.world, tell)

        pid = _start(play)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            told = pipe.read().splitlines()
        return told, os.waitpid(pid, 0)[1]


def strikes(stage: Stage, every: int = 1, offset: int = 0) -> Iterator[Outcome]:
    """Kill at every call of a story (or every so-many-th), and in the middle of every write."""
    points = [(call, Action.KILL) for call in stage.rehearse() if call.name != "mark"]
    points += [(call, Action.TEAR) for call, _ in points if call.name == "write"]
    for call, action in points[offset::every]:
        yield stage.strike(call, action)


def problem_of(look: Callable[[], None]) -> str:
    """The traceback of what `look` raised, or ""."""
    try:
        look()
    except Exception:  # noqa: BLE001 - whatever is wrong after a strike is what is looked for
        return traceback.format_exc()
    return ""


def _in_child(work: Callable[[], None]) -> int:
    return os.waitpid(_start(work), 0)[1]


def _start(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = _BROKE
    try:
        work()
        status = _ENDED
    except BaseException:  # noqa: BLE001 - the child must not go on with the parent's work
        traceback.print_exc()
    finally:
        os._exit(status)


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def command(tries: Callable[[Stage, int, int], Iterator[Outcome]], purpose: str | None) -> None:
    """The program `... STORY... FOLDER [--every N] [--offset N] [--rehearse]`: a line of JSON for each outcome."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("stories", choices=[story.name for story in ALL], nargs="+")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="try one point in so many")
    parser.add_argument("--offset", type=int, default=0, help="the first of them")
    parser.add_argument("--rehearse", action="store_true", help="only list the calls")
    arguments = parser.parse_args()
    for story in ALL:
        if story.name in arguments.stories:
            stage = Stage(story, arguments.folder / story.name)
            found = stage.rehearse() if arguments.rehearse else tries(stage, arguments.every, arguments.offset)
            for item in found:
                sys.stdout.write(json.dumps(asdict(item)) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    command(strikes, __doc__)
