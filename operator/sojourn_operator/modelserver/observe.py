"""What there is of a ModelServer on the cluster, from the informers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from sojourn_operator.engines.storage import Attached
from sojourn_operator.modelserver.names import REVISION_LABEL, SERVER_LABEL, resolver_name
from sojourn_operator.modelserver.requests import Request, request_of
from sojourn_operator.modelserver.storage import StoreProblem, store_access
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    INGRESSES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SERVICES,
    TRAINING_ATTEMPTS,
)
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.objects import Object, Resource, is_controlled_by, uid_of
from sojourn_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class World:
    """A ModelServer and everything that belongs to it.

    Args:
        deployments: by revision, only those that the server controls.
        service: of the server's name, whoever controls it; the same for budget, ingress and route.
        resolver: the pod that looks up `request`.
        finished: pods of earlier requests.
        pods: the serving pods, by revision.
        scaled: Deployments that an autoscaler of their own scales, by name.
    """

    server: Object
    settings: Settings
    now: datetime
    store: Attached | StoreProblem
    request: Request
    deployments: Mapping[str, Object]
    service: Object | None = None
    budget: Object | None = None
    ingress: Object | None = None
    route: Object | None = None
    resolver: Object | None = None
    finished: Sequence[Object] = ()
    pods: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    scaled: Set[str] = frozenset()

    @property
    def active(self) -> str:
        """The revision that gets the requests; "" where none does."""
        if self.service is not None and is_controlled_by(self.service, self.server):
            chosen = str(self.service["spec"].get("selector", {}).get(REVISION_LABEL, ""))
        else:
            versions = self.server.get("status", {}).get("versions", ())
            chosen = next((entry["revision"] for entry in versions if entry["state"] == "Active"), "")
        return chosen if chosen in self.deployments else ""


def observe(cluster: Cluster, server: Object, settings: Settings, now: datetime) -> World:
    """Everything the plan needs."""
    namespace, name = server["metadata"]["namespace"], server["metadata"]["name"]
    reference = server["spec"]["model"]["storeRef"]
    store = cluster.cached(CHECKPOINT_STORES).get(namespace, reference["name"]) if "name" in reference else None
    exposure = server["spec"].get("exposure", {})
    request = request_of(server, cluster.cached(TRAINING_ATTEMPTS).list(namespace))
    pods = cluster.cached(PODS).list(namespace, {SERVER_LABEL: name})
    deployments = {
        str(found["metadata"]["labels"][REVISION_LABEL]): found
        for found in cluster.cached(DEPLOYMENTS).owned_by(uid_of(server))
        if REVISION_LABEL in found["metadata"].get("labels", {})
    }
    by_revision: dict[str, list[Object]] = {}
    resolvers: dict[str, Object] = {}
    for pod in pods:
        if revision := pod["metadata"]["labels"].get(REVISION_LABEL):
            by_revision.setdefault(revision, []).append(pod)
        elif is_controlled_by(pod, server):
            resolvers[pod["metadata"]["name"]] = pod
    resolver = resolvers.pop(resolver_name(name, request.digest), None)
    return World(
        server=server,
        settings=settings,
        now=now,
        store=store_access(reference, store),
        request=request,
        deployments=deployments,
        service=_named(cluster, SERVICES, server),
        budget=_named(cluster, POD_DISRUPTION_BUDGETS, server),
        ingress=_named(cluster, INGRESSES, server, "ingress" in exposure),
        route=_named(cluster, HTTP_ROUTES, server, "httpRoute" in exposure),
        resolver=resolver,
        finished=tuple(resolvers.values()),
        pods=by_revision,
        scaled={
            scaler["spec"]["scaleTargetRef"]["name"]
            for scaler in cluster.cached(HORIZONTAL_POD_AUTOSCALERS).list(namespace)
            if scaler["spec"]["scaleTargetRef"]["kind"] == "Deployment"
        },
    )


def _named(cluster: Cluster, resource: Resource, server: Object, needed: bool = True) -> Object | None:
    """The object of the server's name, whoever made it. The caches hold only what this operator made."""
    place = (server["metadata"]["namespace"], server["metadata"]["name"])
    ours = cluster.cached(resource).get(*place)
    return cluster.port.get(resource, *place) if ours is None and needed else ours
