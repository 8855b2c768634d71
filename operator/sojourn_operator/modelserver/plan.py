"""From what there is of a ModelServer to what is to be done about it, in the order in which a crash does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sojourn_operator.engines.storage import Attached
from sojourn_operator.modelserver.decide import NAME_TAKEN, Decision, decide, entry_of, goal_of
from sojourn_operator.modelserver.drift import holds
from sojourn_operator.modelserver.exposure import http_route, ingress
from sojourn_operator.modelserver.observe import World
from sojourn_operator.modelserver.pods import resolver_spec
from sojourn_operator.modelserver.requests import answer_of
from sojourn_operator.modelserver.status import status_of, tells
from sojourn_operator.modelserver.workload import (
    Revision,
    deployment,
    disruption_budget,
    resolver,
    service,
)
from sojourn_operator.resources import DEPLOYMENTS, HTTP_ROUTES, INGRESSES, MODEL_SERVERS, PODS
from sojourn_operator.runtime.actions import Action, Apply, Create, Delete, Patch, Plan, SetStatus
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.objects import Object, Resource, is_being_deleted, is_controlled_by, uid_of

LOOK_AGAIN = 30.0
"""Seconds after which a lookup that found nothing is tried again."""
SUPERSEDED = timedelta(seconds=15)
"""How long pods outlive the moment at which the Service turned away from them: longer than proxies take to notice."""
KEPT = 2
"""How many superseded Deployments stay, without pods, so that a rollback needs no lookup."""


def plan(world: World) -> Plan:
    """What to do now, and when to look again at the latest."""
    if is_being_deleted(world.server):
        return Plan()
    decision = decide(world)
    wait: list[float] = []
    actions: list[Action] = [*_lookup(world, decision, wait)]
    if decision.trouble is None or decision.trouble.reason != NAME_TAKEN:
        actions += _serve(world, decision)
    actions += tells(world, decision)
    actions.append(SetStatus(MODEL_SERVERS, world.server, status_of(world, decision)))
    actions += _retire(world, decision, wait)
    if decision.stage == "RollingOut":
        wait.append(float(world.server["spec"]["progressDeadlineSeconds"]) + 1)
    return Plan(actions, min(wait, default=None))


def _lookup(world: World, decision: Decision, wait: list[float]) -> Iterator[Action]:
    """Make the pod that looks up the export, and remove those that have answered."""
    for pod in world.finished:
        yield _delete_pod(pod)
    known = world.server.get("status", {}).get("resolved", {}).get("request") == world.request.digest
    if world.resolver is not None and known:
        yield _delete_pod(world.resolver)
    elif world.resolver is not None and decision.stage == "Blocked":
        answer = answer_of(world.resolver)
        if answer is not None and answer.found is None:
            age = world.now - parse_rfc3339(world.resolver["metadata"]["creationTimestamp"])
            left = LOOK_AGAIN - age.total_seconds()
            wait.append(max(left, 1.0))
            if left <= 0:
                yield _delete_pod(world.resolver)
    elif world.resolver is None and decision.stage == "Resolving" and isinstance(world.store, Attached):
        request = world.request
        spec = resolver_spec(world.server["spec"], world.store, request.address, request.version, world.settings)
        yield Create(resolver(world.server, request.digest, spec))


def _serve(world: World, decision: Decision) -> Iterator[Action]:
    """The Deployments that should run, then the Service that turns to one of them."""
    wanted, server = decision.wanted, world.server
    if wanted is not None and decision.stage in ("RollingOut", "Switching", "UpToDate"):
        yield from _apply(world, _deployment(world, wanted), world.deployments.get(wanted.name))
    active = world.deployments.get(decision.active)
    if active is not None and (wanted is None or decision.active != wanted.name):
        yield from _scale(active, goal_of(world, active))
    if not decision.active:
        return
    yield from _apply(world, disruption_budget(server), world.budget)
    yield from _apply(world, service(server, decision.active), world.service)
    exposure = server["spec"].get("exposure", {})
    for key, live, resource, render in (
        ("ingress", world.ingress, INGRESSES, ingress),
        ("httpRoute", world.route, HTTP_ROUTES, http_route),
    ):
        if key in exposure:
            yield from _apply(world, render(server), live)
        elif live is not None and is_controlled_by(live, server):
            yield _delete(live, resource)


def _retire(world: World, decision: Decision, wait: list[float]) -> Iterator[Action]:
    """Take the pods of superseded revisions away, some time after the status says that they are superseded."""
    kept = {decision.active, decision.wanted.name if decision.wanted else ""}
    if decision.stage == "RolledBack":
        kept = {decision.active}
    standby: list[tuple[str, Object]] = []
    for name, made in world.deployments.items():
        entry = entry_of(world.server, name)
        if name in kept or decision.stage in ("Blocked", "Resolving", "Failing"):
            continue
        if entry.get("state") == "Failed":
            yield _delete(made, DEPLOYMENTS)
        elif entry.get("state") == "Standby":
            left = parse_rfc3339(entry["time"]) + SUPERSEDED - world.now
            if left.total_seconds() > 0:
                wait.append(left.total_seconds())
            else:
                yield from _scale(made, 0)
                standby.append((entry["time"], made))
    for _, made in sorted(standby, key=lambda item: item[0], reverse=True)[KEPT:]:
        yield _delete(made, DEPLOYMENTS)


def _deployment(world: World, wanted: Revision) -> Object:
    return deployment(world.server, wanted, goal_of(world, world.deployments.get(wanted.name)))


def _scale(made: Object, count: int) -> Iterator[Action]:
    if made["spec"].get("replicas", 1) != count:
        yield Patch(DEPLOYMENTS, made["metadata"]["namespace"], made["metadata"]["name"], {"spec": {"replicas": count}})


def _apply(world: World, wanted: Object, live: Object | None) -> Iterator[Action]:
    """Apply where something is missing, or where the spec has changed: that may have taken something away."""
    changed = world.server.get("status", {}).get("observedGeneration") != world.server["metadata"]["generation"]
    if live is None or changed or not holds(live, wanted):
        yield Apply(wanted)


def _delete(obj: Object, resource: Resource) -> Delete:
    return Delete(resource, obj["metadata"]["namespace"], obj["metadata"]["name"], uid_of(obj))


def _delete_pod(pod: Object) -> Delete:
    return _delete(pod, PODS)
