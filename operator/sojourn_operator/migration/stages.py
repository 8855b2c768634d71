"""Where a migration stands and what it does next, from what both clusters hold (pure).

Up to the fence everything can be undone, and a failure undoes it. Once a fence is asked for, its answer is awaited,
whatever happens: only the source's log knows who owns the run. After it the only way is forward.
"""

from __future__ import annotations

from sojourn_operator.migration import desired
from sojourn_operator.migration.carry import carry
from sojourn_operator.migration.handover import after_fence, await_fence
from sojourn_operator.migration.observe import Seen
from sojourn_operator.migration.preflight import Preflight
from sojourn_operator.migration.step import (
    LOOK_AGAIN,
    Step,
    began,
    delete_ours,
    fenced,
    is_fence_asked_for,
    remembered,
)
from sojourn_operator.migration.undo import given_up, seconds_left, undo_step
from sojourn_operator.resources import TRAINING_JOBS
from sojourn_operator.runtime.actions import Create
from sojourn_operator.runtime.conditions import is_true

_LOOK_AGAIN_AT_PROBLEMS = 30.0
_VERDICT = {
    True: "nothing is known that would fail; set dryRun to false to go ahead",
    False: "it would fail, see status.plan.problems",
}


def next_step(seen: Seen, checked: Preflight) -> Step:
    """The next step of a migration that has not ended."""
    fence = fenced(seen)
    if fence is not None:
        return after_fence(seen, fence)
    if is_fence_asked_for(seen):
        return await_fence(seen)
    reason = given_up(seen)
    if reason is not None and began(seen) is None:
        return undo_step(seen, *reason)
    if not _has_begun(seen):
        early = _before_begin(seen, checked)
        if early is not None:
            return early
    return carry(seen, seconds_left(seen))


def _has_begun(seen: Seen) -> bool:
    stages = seen.status.get("pipeline", ())
    return any(stage["name"] != "Preflight" and stage["phase"] != "Pending" for stage in stages)


def _before_begin(seen: Seen, checked: Preflight) -> Step | None:
    """Preflight; None when the migration may begin."""
    generation = seen.migration["metadata"]["generation"]
    if seen.spec.get("dryRun") and remembered(seen, "verdict") == generation:
        return Step("Preflight", "DryRun", _VERDICT[is_true(seen.migration, "Feasible")])
    if checked.needs_only_target and seen.target.job is None:
        wanted = desired.job(seen)
        assert wanted is not None
        first = checked.problems[0]
        return Step("Preflight", first.reason, first.message, target=(Create(wanted),), look_again=LOOK_AGAIN)
    if not checked.ok and (checked.only_waits or not seen.spec.get("dryRun")):
        first = checked.problems[0]
        wait = LOOK_AGAIN if checked.only_waits else _LOOK_AGAIN_AT_PROBLEMS
        return Step("Preflight", first.reason, first.message, look_again=wait)
    if seen.spec.get("dryRun"):
        # The job at the target was made to be looked at by the operator there; it has told, and goes.
        gone = delete_ours(TRAINING_JOBS, seen.target.job, seen)
        return Step("Preflight", "DryRun", _VERDICT[checked.ok], target=gone, facts={"verdict": generation})
    return None
