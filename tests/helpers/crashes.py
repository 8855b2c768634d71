"""Kills an operator at every one of its writes, and loses every answer, and looks whether it comes to the same end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from helpers.operator import Harness
from sojourn_operator.runtime.memory import MemoryCluster

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_CHANGING = ("uid", "resourceVersion", "generation", "creationTimestamp")


def crash_at_every_write(make: Callable[[], Harness], drive: Callable[[Harness], None]) -> list[str]:
    """Play the same story again and again, each time with another fault; every end must equal the undisturbed one.

    Args:
        make: a new world with its operator.
        drive: the story: create, settle, patch, settle, ...; it may assert as well.

    Returns:
        The points at which it struck.

    Raises:
        AssertionError: an end differs, or an object is left whose owner is gone.
    """
    undisturbed = make()
    drive(undisturbed)
    expected = ending(undisturbed.world)
    struck = []
    for number, write in enumerate(undisturbed.port.writes):
        for fault in ("crash_before", "lose_answer_of"):
            harness = make()
            setattr(harness.port, fault, number)
            drive(harness)
            assert getattr(harness.port, fault) is None, f"write {number} never came: {write}"
            point = f"{fault.replace('_', ' ')} write {number}: {write}"
            assert orphans(harness.world) == [], point
            assert ending(harness.world) == expected, point
            struck.append(point)
    return struck


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
