"""The status of a Migration, from what was seen and the step that follows (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sojourn_operator.migration import desired, names
from sojourn_operator.migration.observe import Seen, Side, server_name, target_name
from sojourn_operator.migration.preflight import Preflight
from sojourn_operator.migration.step import Step, fenced, stage_names, status_of
from sojourn_operator.runtime.clock import parse_rfc3339, rfc3339
from sojourn_operator.runtime.conditions import Condition, condition, is_true, with_conditions
from sojourn_operator.runtime.objects import Object

SLOW: Final = ("progress", "bytes")
Json = dict[str, Any]


def migration_status(seen: Seen, checked: Preflight, step: Step) -> Json:
    """The whole status."""
    before = seen.status
    pipeline = _pipeline(seen, step)
    plan = _plan(seen, checked, step)
    generation = seen.migration["metadata"]["generation"]
    status: Json = {
        **before,
        "observedGeneration": generation,
        "phase": step.outcome or ("Undoing" if step.stage == "Undo" else step.stage),
        "pipeline": pipeline,
        "plan": plan,
        "startTime": before.get("startTime") or rfc3339(seen.now),
        "seconds": _seconds(pipeline, seen.now, before.get("seconds", {})),
        "source": _end(seen, seen.source, seen.source.transfer) | before.get("source", {}),
        "target": before.get("target", {}) | _target_end(seen),
        **_numbers(seen, step, plan),
    }
    if step.outcome:
        status["completionTime"] = before.get("completionTime") or rfc3339(seen.now)
    conditions = _conditions(seen, checked, step)
    status["conditions"] = with_conditions(before.get("conditions", ()), conditions, generation, seen.now)
    return status


def _conditions(seen: Seen, checked: Preflight, step: Step) -> list[Condition]:
    found = _feasible(seen, checked, step)
    if fenced(seen) is not None:
        waits = not (step.outcome == "Complete" or step.facts.get("resumed") or _rests_there(seen, step))
        found.append(condition("AwaitingTarget", waits, step.reason if waits else "TargetWentOn", step.message))
    reason = step.reason or step.stage
    found.append(condition("Complete", step.outcome == "Complete", reason, step.message))
    failed = step.outcome == "Failed"
    found.append(condition("Failed", failed, reason if failed else "NotFailed", step.message if failed else ""))
    found.append(condition("Ready", step.outcome == "Complete", reason, step.message))
    return found


def _feasible(seen: Seen, checked: Preflight, step: Step) -> list[Condition]:
    """Said during Preflight; what was said stays."""
    if step.stage == "Undo":
        return []
    if step.stage != "Preflight" or checked.ok:
        known = is_true(seen.migration, "Feasible") and step.stage != "Preflight"
        return [] if known else [condition("Feasible", True, "Checked", "nothing is known that would fail")]
    if step.reason == "DryRun" and "verdict" not in step.facts:
        return []
    first = checked.problems[0]
    return [condition("Feasible", "Unknown" if checked.only_waits else "False", first.reason, first.message)]


def _rests_there(seen: Seen, step: Step) -> bool:
    return "began" in step.facts and "resume" not in seen.spec


def _pipeline(seen: Seen, step: Step) -> list[Json]:
    wanted = stage_names(seen)
    before = {stage["name"]: stage for stage in seen.status.get("pipeline", ())}
    if step.stage == "Undo":
        running = [name for name in wanted if before.get(name, {}).get("phase") in ("Running", "Failed")]
        current = wanted.index(running[0]) if running else 0
    else:
        current = wanted.index(step.stage) if step.stage in wanted else wanted.index("Transfer")
    now = rfc3339(seen.now)
    result = []
    for number, name in enumerate(wanted):
        old = before.get(name, {})
        if number > current:
            result.append({"name": name, "phase": "Pending"})
            continue
        stage: Json = {"name": name, "phase": "Succeeded", "startTime": old.get("startTime") or now}
        if number < current or step.outcome == "Complete":
            stage["completionTime"] = old.get("completionTime") or now
        elif step.outcome == "Failed":
            stage |= {"phase": "Failed", "completionTime": old.get("completionTime") or now}
        else:
            stage["phase"] = "Running"
        if number == current and step.outcome != "Complete":
            stage |= {"reason": step.reason or None, "message": step.message or None}
        progress = status_of(seen.target.transfer).get("progress")
        if name == "Transfer" and (progress or "progress" in old):
            stage["progress"] = progress or old["progress"]
        result.append({field: value for field, value in stage.items() if value is not None})
    return result


def _seconds(pipeline: list[Json], now: datetime, before: Mapping[str, float]) -> Json:
    """Of stages that are over; the time of a stage that was gone through twice is that of the last."""
    return dict(before) | {
        stage["name"]: (parse_rfc3339(stage["completionTime"]) - parse_rfc3339(stage["startTime"])).total_seconds()
        for stage in pipeline
        if "completionTime" in stage
    }


def _plan(seen: Seen, checked: Preflight, step: Step) -> Json:
    plan: Json = dict(seen.status.get("plan", {}))
    if step.stage == "Preflight" and ("verdict" not in plan or "verdict" in step.facts):
        plan |= checked.plan
    elif step.stage not in ("Preflight", "Undo"):
        plan["problems"] = []
        if seen.status.get("phase", "Preflight") == "Preflight":
            plan["notes"] = checked.plan["notes"]  # what the target has told last of all
    for name, value in step.facts.items():
        if value is None:
            plan.pop(name, None)
        else:
            plan[name] = value
    commit = status_of(seen.source.job).get("lastCommit", {})
    if "fenced" in step.facts and "sourceStopped" not in plan and "time" in commit:
        plan["sourceStopped"] = commit["time"]
    return plan


def _numbers(seen: Seen, step: Step, plan: Mapping[str, Any]) -> Json:
    numbers: Json = {}
    receiver = status_of(seen.target.transfer)
    verified = receiver.get("verified", {})
    if "progress" in receiver:
        numbers["progress"] = receiver["progress"]
    if "copiedBytes" in verified:
        numbers["bytes"] = verified["copiedBytes"]
    fence, began = plan.get("fenced", {}), plan.get("began", {})
    committed = fence.get("step", verified.get("step"))
    if committed is not None:
        numbers["committedStep"] = committed
    if fence:
        told = {name: fence[name] for name in ("entry", "digest") if name in fence}
        numbers["fenced"] = {**told, "time": seen.status.get("fenced", {}).get("time") or rfc3339(seen.now)}
    if step.facts.get("resumed"):
        if "step" in began:
            numbers["resumedStep"] = began["step"]
        if "downtimeSeconds" not in seen.status and "sourceStopped" in plan:
            numbers["downtimeSeconds"] = (seen.now - parse_rfc3339(plan["sourceStopped"])).total_seconds()
    url = status_of(seen.target.server).get("url")
    if url and "serve" in seen.spec:
        numbers["url"] = url
    return numbers


def _end(seen: Seen, side: Side, transfer: Object | None) -> Json:
    carried = desired.cargo(seen)
    end: Json = {
        "cluster": side.cluster or None,
        "namespace": side.namespace,
        "trainingJob": seen.source.job["metadata"]["name"] if seen.source.job is not None else None,
        "transfer": names.send_name(seen.migration),
    }
    if carried is not None:
        end["store"] = carried.store.get("name") or carried.store.get("uri")
    run = status_of(transfer).get("run", {})
    end |= {"runId": run.get("runId"), "run": run.get("prefix")}
    return {name: value for name, value in end.items() if value is not None}


def _target_end(seen: Seen) -> Json:
    store = desired.target_store(seen) or {}
    child = status_of(seen.target.transfer).get("child", {})
    end = {
        "cluster": seen.target.cluster or None,
        "namespace": seen.target.namespace,
        "trainingJob": (target_name(seen) or None) if "resume" in seen.spec else None,
        "modelServer": (server_name(seen) or None) if "serve" in seen.spec else None,
        "transfer": names.receive_name(seen.migration),
        "store": store.get("name") or store.get("uri"),
        "runId": child.get("runId"),
        "run": child.get("run"),
    }
    return {name: value for name, value in end.items() if value is not None}
