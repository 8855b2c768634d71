"""The operator's part of a transfer's status: conditions, the address, and phases that no mover can tell (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sojourn_operator.checkpointtransfer import reasons
from sojourn_operator.checkpointtransfer.address import address
from sojourn_operator.checkpointtransfer.observe import Observed
from sojourn_operator.movers.results import Trouble, is_alive, is_running, why_waiting
from sojourn_operator.resources import CHECKPOINT_TRANSFERS
from sojourn_operator.runtime.actions import Action, PatchStatus, Tell
from sojourn_operator.runtime.conditions import Condition, condition, is_true, with_conditions


def going(seen: Observed) -> list[Action]:
    """A transfer that goes on: whether its mover runs and can be reached, and what has been reached."""
    fields: dict[str, Any] = {} if "phase" in seen.status else {"phase": "Pending"}
    trouble = _trouble(seen)
    if seen.listens and any(map(is_running, seen.pods)):
        place = address(seen)
        if place:
            fields |= {"address": place[0], "port": place[1]}
        else:
            trouble = trouble or Trouble(reasons.NO_ADDRESS, "the Service has no address yet")
    ready = (
        condition(reasons.READY, False, trouble.reason, trouble.message)
        if trouble
        else condition(reasons.READY, True, reasons.MOVER_RUNNING, "the mover runs")
    )
    return _write(seen, [ready, *_reached(seen)], fields)


def refused(seen: Observed, trouble: Trouble) -> list[Action]:
    """A transfer for which no mover can be made now."""
    fields = {} if "phase" in seen.status else {"phase": "Pending"}
    return _write(seen, [condition(reasons.READY, False, trouble.reason, trouble.message)], fields)


def succeeded(seen: Observed) -> list[Action]:
    """The mover has reported the end."""
    message = "the run has begun in the target" if seen.spec["role"] == "Receive" else "everything was given"
    if "fenced" in seen.status:
        message = f"the run was handed over at step {seen.status['fenced'].get('step', 0)}"
    done = [
        condition(reasons.READY, False, reasons.SUCCEEDED, "the mover has ended"),
        condition(reasons.COMPLETE, True, reasons.SUCCEEDED, message),
    ]
    return _write(seen, [*done, *_reached(seen)], {})


def failed(seen: Observed, trouble: Trouble) -> list[Action]:
    """It will not be tried again."""
    wanted = [
        condition(reasons.READY, False, trouble.reason, trouble.message),
        condition(reasons.FAILED, True, trouble.reason, trouble.message),
    ]
    return _write(seen, [*wanted, *_reached(seen)], {"phase": "Failed"})


def _trouble(seen: Observed) -> Trouble | None:
    """Why the mover does not do its work at this moment."""
    if seen.status.get("reason") and any(map(is_running, seen.pods)):
        hint = f" {seen.status['hint']}" if seen.status.get("hint") else ""
        return Trouble(seen.status["reason"], f"{seen.status.get('message', '')}{hint}")
    if any(map(is_running, seen.pods)):
        return None
    for pod in seen.pods:
        if is_alive(pod) and (waiting := why_waiting(pod)):
            return waiting
    return Trouble(reasons.POD_PENDING, "the mover's pod does not run yet")


def _reached(seen: Observed) -> Iterable[Condition]:
    verified, fenced = seen.status.get("verified"), seen.status.get("fenced")
    if verified:
        count = f"{verified.get('bytes', 0):,} bytes in {verified.get('files', 0)} files"
        how = "are in this store already" if verified.get("adopted") else "have arrived"
        yield condition(reasons.VERIFIED, True, reasons.EVERY_DIGEST, f"{count} {how}")
    if fenced:
        yield condition(reasons.FENCED, True, reasons.HANDED_OVER, f"entry {fenced.get('entry')} of the run's log")


def _write(seen: Observed, wanted: Iterable[Condition], fields: Mapping[str, Any]) -> list[Action]:
    """A patch of what differs. The mover patches the same object, so it holds only if nobody has written since."""
    metadata = seen.transfer["metadata"]
    generation = int(metadata.get("generation", 0))
    before = seen.status.get("conditions", [])
    wanted = [_cut(entry) for entry in wanted]
    after = with_conditions(before, wanted, generation, seen.now)
    patch = {name: value for name, value in fields.items() if seen.status.get(name) != value}
    if after != before:
        patch["conditions"] = after
    if seen.status.get("observedGeneration") != generation:
        patch["observedGeneration"] = generation
    if not patch:
        return []
    place = (CHECKPOINT_TRANSFERS, metadata["namespace"], metadata["name"])
    return [PatchStatus(*place, patch, metadata["resourceVersion"]), *_events(seen, wanted)]


def _events(seen: Observed, wanted: Iterable[Condition]) -> Iterable[Tell]:
    for entry in wanted:
        if entry.type != reasons.READY and entry.status == "True" and not is_true(seen.transfer, entry.type):
            kind: Literal["Normal", "Warning"] = "Warning" if entry.type == reasons.FAILED else "Normal"
            yield Tell(seen.transfer, kind, entry.type, entry.message or entry.reason)


def _cut(entry: Condition) -> Condition:
    return Condition(entry.type, entry.status, entry.reason, entry.message[:4096])
