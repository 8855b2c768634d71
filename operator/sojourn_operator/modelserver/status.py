"""A ModelServer's status and the events of a rollout, from what was decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sojourn_operator.modelserver.decide import Decision, available, replicas, version_of
from sojourn_operator.modelserver.exposure import url
from sojourn_operator.modelserver.names import revision_selector
from sojourn_operator.modelserver.observe import World
from sojourn_operator.runtime.actions import Tell
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.conditions import Condition, condition, with_conditions

HISTORY = 10
"""Entries of status.versions that are kept, so that a rollback knows their exports."""


def status_of(world: World, decision: Decision) -> dict[str, Any]:
    """The whole status."""
    server = world.server
    generation = server["metadata"]["generation"]
    made = world.deployments.get(decision.active)
    counts = (made or {}).get("status", {})
    old = server.get("status", {}).get("conditions", ())
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": with_conditions(old, _conditions(world, decision), generation, world.now),
        "replicas": int(counts.get("replicas", 0)),
        "readyReplicas": int(counts.get("readyReplicas", 0)),
        "url": url(server),
        "versions": _versions(world, decision),
    }
    if made is not None:
        status["activeVersion"] = version_of(made)
    if decision.active:
        labels = revision_selector(server["metadata"]["name"], decision.active)
        status["selector"] = ",".join(f"{name}={value}" for name, value in labels.items())
    if decision.wanted is not None:
        status["targetVersion"] = decision.wanted.export.version
        if decision.active == decision.wanted.name:
            status["activeVersion"] = decision.wanted.export.version
    if decision.found is not None:
        status["resolved"] = dict(decision.found)
    return status


def tells(world: World, decision: Decision) -> Iterator[Tell]:
    """Events of what happens in this very look."""
    version = decision.wanted.export.version if decision.wanted else 0
    trouble = decision.trouble
    if decision.stage == "RollingOut" and decision.wanted and decision.wanted.name not in world.deployments:
        yield Tell(world.server, "Normal", "RollingOut", f"starting pods for model version {version}")
    elif decision.stage == "Switching":
        yield Tell(world.server, "Normal", "Switched", f"model version {version} gets the requests now")
    elif decision.stage == "Failing" and trouble:
        served = version_of(world.deployments[decision.active])
        text = f"model version {version} failed, version {served} serves on: {trouble.message}"
        yield Tell(world.server, "Warning", "RolledBack", text)
    elif decision.stage == "Blocked" and trouble:
        yield Tell(world.server, "Warning", trouble.reason, trouble.message)


def _conditions(world: World, decision: Decision) -> Iterator[Condition]:
    yield _ready(world, decision)
    yield _progressing(world, decision)
    yield _rolled_back(world, decision)


def _ready(world: World, decision: Decision) -> Condition:
    ready, wanted = available(world.deployments.get(decision.active)), replicas(world.server)
    if ready:
        return condition("Ready", True, "Serving", f"{ready} of {wanted} replicas are ready")
    if decision.trouble is not None:
        return condition("Ready", False, decision.trouble.reason, decision.trouble.message)
    if wanted == 0 and decision.active in world.deployments:
        return condition("Ready", False, "ScaledToZero", "spec.replicas is 0")
    if decision.stage == "Resolving":
        return condition("Ready", False, "Resolving", f"looking up which export {world.request.address} means")
    return condition("Ready", False, "Starting", "no replica is ready yet")


def _progressing(world: World, decision: Decision) -> Condition:
    trouble, version = decision.trouble, decision.wanted.export.version if decision.wanted else 0
    match decision.stage:
        case "Resolving":
            text = f"looking up which export {world.request.address} means"
            return condition("Progressing", True, "Resolving", text)
        case "RollingOut":
            text = f"waiting for {replicas(world.server)} ready pods of model version {version}"
            return condition("Progressing", True, "RollingOut", f"{text}: {trouble.message}" if trouble else text)
        case "Failing" | "RolledBack":
            return condition("Progressing", False, "RolledBack", trouble.message if trouble else "")
        case "Blocked":
            reason = trouble.reason if trouble else "Blocked"
            return condition("Progressing", False, reason, trouble.message if trouble else "")
        case _:
            return condition("Progressing", False, "UpToDate", f"model version {version} serves")


def _rolled_back(world: World, decision: Decision) -> Condition:
    if decision.stage in ("Failing", "RolledBack") and decision.wanted and decision.trouble:
        text = f"model version {decision.wanted.export.version} failed ({decision.trouble.reason})"
        return condition("RolledBack", True, "VersionFailed", f"{text}: {decision.trouble.message}")
    wanted = world.server["spec"].get("rollback", {}).get("toVersion")
    if wanted is not None:
        return condition("RolledBack", True, "Requested", f"spec.rollback asks for version {wanted}")
    return condition("RolledBack", False, "NotRolledBack", "what the spec asks for is what serves, or is on its way")


def _versions(world: World, decision: Decision) -> list[dict[str, Any]]:
    """Entries for every revision that there is, was or should be, newest first."""
    known = {entry["revision"]: dict(entry) for entry in world.server.get("status", {}).get("versions", ())}
    wanted = decision.wanted
    if wanted is not None and wanted.name not in known:
        export = wanted.export
        new = {
            "revision": wanted.name,
            "version": export.version,
            "manifest": export.manifest,
            "run": export.run,
        }
        if decision.found and decision.found["manifest"] == export.manifest and "step" in decision.found:
            new["step"] = decision.found["step"]
        known = {wanted.name: new, **known}
    for name, entry in known.items():
        _update(world, decision, name, entry)
    entries = list(known.values())
    serving = [entry for entry in entries if entry["state"] in ("Active", "Progressing")]
    return entries[:HISTORY] + [entry for entry in serving if entry not in entries[:HISTORY]]


def _update(world: World, decision: Decision, name: str, entry: dict[str, Any]) -> None:
    state = _state(world, decision, name, entry)
    if entry.get("state") != state:
        entry["state"] = state
        entry["time"] = rfc3339(world.now)
        entry.pop("reason", None)
        entry.pop("message", None)
        if state == "Failed" and decision.trouble is not None:
            entry["reason"], entry["message"] = decision.trouble
    counts: Mapping[str, Any] = (world.deployments.get(name) or {}).get("status", {})
    entry["replicas"] = int(counts.get("replicas", 0))
    entry["readyReplicas"] = int(counts.get("readyReplicas", 0))


def _state(world: World, decision: Decision, name: str, entry: Mapping[str, Any]) -> str:
    wanted = decision.wanted is not None and decision.wanted.name == name
    if wanted and decision.stage == "Failing":
        return "Failed"
    if wanted and decision.stage == "RollingOut":
        return "Target"
    if name == decision.active:
        return "Active"
    if decision.stage in ("Blocked", "Resolving") and entry.get("state"):
        return str(entry["state"])
    return "Failed" if entry.get("state") == "Failed" else "Standby"
