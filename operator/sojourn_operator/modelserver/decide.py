"""Which revision should serve, and how far it is: the decisions of a rollout, pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from sojourn_operator.engines.storage import Attached
from sojourn_operator.modelserver.names import VERSION_ANNOTATION
from sojourn_operator.modelserver.observe import World
from sojourn_operator.modelserver.pods import Export
from sojourn_operator.modelserver.requests import Answer, answer_of, known_export
from sojourn_operator.modelserver.storage import StoreProblem
from sojourn_operator.modelserver.trouble import Trouble, trouble_of
from sojourn_operator.modelserver.workload import Revision, revision
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.objects import Object, is_controlled_by

NAME_TAKEN: Final = "NameTaken"
Stage = Literal["Blocked", "Resolving", "RollingOut", "Switching", "UpToDate", "Failing", "RolledBack"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a ModelServer now.

    Args:
        stage: where the rollout is. Failing: this look found that the wanted revision has failed.
        active: the revision that gets the requests after this look; "" for none.
        wanted: the revision that the spec asks for, as far as its export is known.
        found: fields of status.resolved.
        trouble: why nothing goes on, or why the wanted revision failed.
    """

    stage: Stage
    active: str
    wanted: Revision | None = None
    found: Mapping[str, Any] | None = None
    trouble: Trouble | None = None


def decide(world: World) -> Decision:
    """The decision for what was observed."""
    blocked = _blocked(world)
    if blocked is not None:
        return Decision("Blocked", world.active, trouble=blocked, found=_resolved(world))
    assert not isinstance(world.store, StoreProblem)
    found, answer = _find(world)
    export = known_export(world.server) or (Export.of(found) if found else None)
    if export is None:
        problem = Trouble(answer.reason, answer.message) if answer else None
        return Decision("Blocked" if problem else "Resolving", world.active, trouble=problem, found=_resolved(world))
    return _roll_out(world, _goal(world, world.store, export), found)


def _goal(world: World, store: Attached, export: Export) -> Revision:
    """The revision that the spec asks for; where that has failed and nothing serves, the last export that did serve."""
    wanted = revision(world.server, store, export, world.settings)
    if world.active or entry_of(world.server, wanted.name).get("state") != "Failed":
        return wanted
    versions = world.server["status"]["versions"]
    good = next((entry for entry in versions if entry["state"] in ("Active", "Standby")), None)
    return revision(world.server, store, Export.of(good), world.settings) if good else wanted


def _roll_out(world: World, wanted: Revision, found: Mapping[str, Any] | None) -> Decision:
    active, name = world.active, wanted.name
    entry = entry_of(world.server, name)
    others = active if active != name else ""
    if active == name:
        return Decision("UpToDate", active, wanted, found, trouble_of(world.pods.get(name, ())))
    trouble = Trouble(entry.get("reason", "Failed"), entry.get("message", ""))
    if others and entry.get("state") == "Failed":
        return Decision("RolledBack", active, wanted, found, trouble)
    made = world.deployments.get(name)
    if made is None:
        return Decision("RollingOut", active, wanted, found)
    if is_ready(made, goal_of(world, made)) or (not available(world.deployments.get(active)) and available(made)):
        return Decision("Switching", name, wanted, found)
    now_troubled = trouble_of(world.pods.get(name, ()))
    if others and has_failed(world, made, entry):
        late = Trouble("ProgressDeadlineExceeded", "it did not become ready in time")
        return Decision("Failing", active, wanted, found, now_troubled or late)
    # Before anything serves there is nothing to lose: the first revision takes the Service over at once.
    return Decision("RollingOut", active or name, wanted, found, now_troubled)


def entry_of(server: Object, name: str) -> Mapping[str, Any]:
    """The entry of status.versions for a revision, {} where there is none."""
    versions = server.get("status", {}).get("versions", ())
    return next((entry for entry in versions if entry["revision"] == name), {})


def replicas(server: Object) -> int:
    """Pods wanted."""
    return int(server["spec"].get("replicas", 1))


def available(deployment: Object | None) -> int:
    """Pods of a Deployment that are ready."""
    return int((deployment or {}).get("status", {}).get("availableReplicas", 0))


def is_ready(deployment: Object, goal: int) -> bool:
    """Whether a Deployment runs as many ready pods as it should."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 1):
        return False
    return int(status.get("updatedReplicas", 0)) >= goal and available(deployment) >= goal


def goal_of(world: World, deployment: Object | None) -> int:
    """Pods that a Deployment should have: what the spec says, unless an autoscaler of its own says something else."""
    if deployment is not None and deployment["metadata"]["name"] in world.scaled:
        return int(deployment["spec"].get("replicas", 1))
    return replicas(world.server)


def has_failed(world: World, deployment: Object, entry: Mapping[str, Any]) -> bool:
    """Whether a Deployment exceeded its deadline. One that is scaled up again has no deadline of Kubernetes' own."""
    for condition in deployment.get("status", {}).get("conditions", ()):
        if condition["type"] == "Progressing" and condition["status"] == "False":
            return True
    if "time" not in entry or entry.get("state") != "Target" or available(deployment):
        return False
    patience = timedelta(seconds=world.server["spec"]["progressDeadlineSeconds"])
    return world.now - parse_rfc3339(entry["time"]) > patience


def version_of(deployment: Object) -> int:
    """The model version that a Deployment serves."""
    return int(deployment["metadata"]["annotations"][VERSION_ANNOTATION])


def _blocked(world: World) -> Trouble | None:
    name = world.server["metadata"]["name"]
    exposure = world.server["spec"].get("exposure", {})
    needed = [world.service, world.budget]
    needed += [world.ingress] if "ingress" in exposure else []
    needed += [world.route] if "httpRoute" in exposure else []
    for taken in needed:
        if taken is not None and not is_controlled_by(taken, world.server):
            return Trouble(NAME_TAKEN, f"a {taken['kind']} {name!r} is there that this ModelServer did not make")
    if isinstance(world.store, StoreProblem):
        return Trouble(world.store.reason, world.store.message)
    return None


def _resolved(world: World) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = world.server.get("status", {}).get("resolved")
    return found


def _find(world: World) -> tuple[Mapping[str, Any] | None, Answer | None]:
    """The fields of status.resolved for this very request, and what a pod answered where they are not known yet."""
    known = _resolved(world)
    if known and known["request"] == world.request.digest:
        return known, None
    answer = answer_of(world.resolver)
    if answer is not None and answer.found is not None:
        return {"request": world.request.digest, **answer.found}, None
    return None, answer
