"""Kills an operator at every one of its writes, and loses every answer, and looks whether it comes to the same end."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from helpers.faults import Faults
from sojourn_operator.runtime.memory import MemoryCluster

OUT: Final = Path(__file__).parents[1] / "out" / "crash-points"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_CHANGING = ("uid", "resourceVersion", "generation", "creationTimestamp", "seconds", "downtimeSeconds")


class Story(Protocol):
    """What faults are tried on: a Harness, or several that make up one world."""

    @property
    def faults(self) -> Faults:
        """Those of the operator that is tested."""
        ...

    @property
    def worlds(self) -> Sequence[MemoryCluster]:
        """Where to look at the end."""
        ...


S = TypeVar("S", bound=Story)


def crash_at_every_write(make: Callable[[], S], drive: Callable[[S], None]) -> list[str]:
    """Play the same story again and again, each time with another fault; every end must equal the undisturbed one.

    Args:
        make: a new world with its operator.
        drive: the story: create, settle, patch, settle, ...; it may assert as well.

    Returns:
        The points at which it struck; they are also printed, and written to tests/out/crash-points/<test>.txt.

    Raises:
        AssertionError: an end differs, or an object is left whose owner is gone.
    """
    undisturbed = make()
    drive(undisturbed)
    expected = [ending(world) for world in undisturbed.worlds]
    struck = []
    for number, write in enumerate(undisturbed.faults.writes):
        for fault in ("crash_before", "lose_answer_of"):
            story = make()
            setattr(story.faults, fault, number)
            drive(story)
            assert getattr(story.faults, fault) is None, f"write {number} never came: {write}"
            point = f"{fault.replace('_', ' ')} write {number}: {write}"
            assert [orphans(world) for world in story.worlds] == [[] for _ in expected], point
            assert [ending(world) for world in story.worlds] == expected, point
            struck.append(point)
    _record(struck)
    return struck


def _record(points: Sequence[str]) -> None:
    """Keep the list for who asks at which points the test struck."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0].removeprefix("tests/")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{re.sub(r'[^-.A-Za-z0-9]+', '_', test)}.txt").write_text("\n".join(points) + "\n")
    print(f"struck at {len(points)} points:", *points, sep="\n")


def ending(world: MemoryCluster) -> dict[str, Any]:
    """What there is, without what differs between two equal stories; Events only tell, so they are left out."""
    return {
        f"{obj['kind']} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}": _lasting(obj)
        for obj in world.objects()
        if obj["kind"] != "Event"
    }


def orphans(world: MemoryCluster) -> list[str]:
    """Objects of which an owner is gone."""
    uids = {obj["metadata"]["uid"] for obj in world.objects()}
    return [
        f"{obj['kind']} {obj['metadata']['name']}"
        for obj in world.objects()
        for reference in obj["metadata"].get("ownerReferences", ())
        if reference["uid"] not in uids
    ]


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(part) for name, part in value.items() if name not in _CHANGING}
    if isinstance(value, list):
        return [_lasting(part) for part in value]
    return _TIME.sub("<time>", value) if isinstance(value, str) else value
