"""Who may do what: the one table of rights. The chart, the docs and the tests are made from it.

No right is a wildcard, and none reads a Secret outside the operator's own namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sojourn_operator import resources as r
from sojourn_operator.runtime.objects import Resource

READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "patch", "delete")
_OURS: Final = tuple(resource for resource in r.ALL if resource.group == r.GROUP)
_NAMESPACED: Final = tuple(resource for resource in _OURS if resource.namespaced)
_CLUSTER_WIDE: Final = tuple(resource for resource in _OURS if not resource.namespaced)
_CHILDREN: Final = (
    r.SERVICES,
    r.SERVICE_ACCOUNTS,
    r.DEPLOYMENTS,
    r.JOBS,
    r.INGRESSES,
    r.NETWORK_POLICIES,
    r.POD_DISRUPTION_BUDGETS,
    r.ROLE_BINDINGS,
    r.ROLES,
)


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on kinds, or on one subresource of theirs."""

    resources: tuple[Resource, ...]
    verbs: tuple[str, ...]
    subresource: str = ""

    def allows(self, verb: str, resource: Resource, subresource: str = "") -> bool:
        """Whether it covers a request."""
        return verb in self.verbs and resource in self.resources and subresource == self.subresource


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody may do; `name` is what it is called in the chart."""

    name: str
    summary: str
    rights: tuple[Right, ...]

    def allows(self, verb: str, resource: Resource, subresource: str = "") -> bool:
        """Whether one of its rights covers a request."""
        return any(right.allows(verb, resource, subresource) for right in self.rights)


OPERATOR: Final = Role(
    "operator",
    "the operator, in every namespace that it acts in",
    (
        # The attempts, checkpoints and transfers are its own; jobs and servers are made by migrations, jobs are
        # deleted when their time is over.
        Right(
            (r.TRAINING_JOBS, r.TRAINING_ATTEMPTS, r.CHECKPOINTS, r.CHECKPOINT_TRANSFERS, r.MODEL_SERVERS),
            (*READ, *WRITE),
        ),
        Right((r.CHECKPOINT_STORES, r.MIGRATIONS), (*READ, "patch")),
        Right(_NAMESPACED, ("patch",), "status"),
        # An owner reference that blocks the owner's deletion asks for this, where the API server enforces it.
        Right(_NAMESPACED, ("update",), "finalizers"),
        Right(_CHILDREN, (*READ, *WRITE)),
        # Pods of its own probe stores and look up exports; a head that is stuck is deleted.
        Right((r.PODS,), (*READ, "create", "delete")),
        # Replicas are left to whoever scales a server; claims and quotas tell what is feasible.
        Right((r.HORIZONTAL_POD_AUTOSCALERS, r.PERSISTENT_VOLUME_CLAIMS, r.RESOURCE_QUOTAS), READ),
        Right((r.LIMIT_RANGES,), ("list",)),
        Right((r.CONFIG_MAPS,), ("get",)),
        # Whether a Secret is there is found out by a create that is not carried out, so none is read.
        Right((r.SECRETS,), ("create", "delete")),
        Right((r.EVENTS,), ("create", "get", "patch")),
    ),
)
KUBERAY: Final = Role(
    "kuberay", "the operator, for the engine KubeRay", (Right((r.RAY_CLUSTERS, r.RAY_JOBS), (*READ, *WRITE)),)
)
GATEWAY: Final = Role("gateway", "the operator, for the Gateway API", (Right((r.HTTP_ROUTES,), (*READ, *WRITE)),))
CLUSTER: Final = Role(
    "cluster",
    "the operator, on what belongs to the whole cluster; not in namespaced mode",
    (
        Right(_CLUSTER_WIDE, (*READ, "patch")),
        Right(_CLUSTER_WIDE, ("patch",), "status"),
        Right(_CLUSTER_WIDE, ("update",), "finalizers"),
        Right((r.CUSTOM_RESOURCE_DEFINITIONS, r.NAMESPACES, r.NODES), READ),
        # Events about such objects are in the namespace `default`, where nobody may act who keeps to others.
        Right((r.EVENTS,), ("create", "get", "patch")),
    ),
)
HOME: Final = Role(
    "home",
    "the operator, in its own namespace: the Lease by which one replica leads, and the kubeconfigs of other clusters",
    (Right((r.LEASES,), ("create", "get", "patch", "update")), Right((r.SECRETS,), READ)),
)
REMOTE: Final = Role(
    "remote",
    "the operator of another cluster, in the namespaces of this one that it may carry runs to and from",
    (
        Right((r.TRAINING_JOBS, r.CHECKPOINT_TRANSFERS, r.MODEL_SERVERS), (*READ, *WRITE)),
        Right((r.TRAINING_ATTEMPTS, r.CHECKPOINTS, r.CHECKPOINT_STORES), READ),
    ),
)
REMOTE_CLUSTER: Final = Role(
    "remote-cluster",
    "the same, on what belongs to the whole cluster: which versions are installed",
    (Right((r.CUSTOM_RESOURCE_DEFINITIONS, r.NAMESPACES), READ),),
)
REMOTE_HOME: Final = Role(
    "remote-home",
    "the same, in the operator's own namespace: whether it is there, and which version of it",
    (Right((r.LEASES,), ("get",)),),
)
VIEW: Final = Role("view", "people who look; added to the cluster's own role view", (Right(_NAMESPACED, READ),))
EDIT: Final = Role(
    "edit",
    "people who work; added to the cluster's own roles edit and admin",
    (
        Right(
            (r.TRAINING_JOBS, r.CHECKPOINT_STORES, r.CHECKPOINT_TRANSFERS, r.MIGRATIONS, r.MODEL_SERVERS),
            ("create", "update", "patch", "delete", "deletecollection"),
        ),
        Right((r.MODEL_SERVERS,), ("get", "update", "patch"), "scale"),
        # Made from what was committed, so only taken away, or told what becomes of the files.
        Right((r.CHECKPOINTS,), ("update", "patch", "delete", "deletecollection")),
    ),
)
UNINSTALL: Final = Role(
    "uninstall",
    "the job that takes our finalizers off before the operator goes",
    (Right(_NAMESPACED, ("get", "list", "patch")),),
)
UNINSTALL_CLUSTER: Final = Role(
    "uninstall-cluster",
    "the same, on what belongs to the whole cluster",
    (Right(_CLUSTER_WIDE, ("get", "list", "patch")),),
)
UNINSTALL_HOME: Final = Role(
    "uninstall-home",
    "the same, in the operator's namespace: it stops the operator first",
    (
        Right((r.DEPLOYMENTS,), ("patch",)),
        Right((r.PODS,), ("list",)),
        Right((r.LEASES,), ("delete",)),
    ),
)

ROLES: Final = (
    OPERATOR,
    KUBERAY,
    GATEWAY,
    CLUSTER,
    HOME,
    REMOTE,
    REMOTE_CLUSTER,
    REMOTE_HOME,
    VIEW,
    EDIT,
    UNINSTALL,
    UNINSTALL_CLUSTER,
    UNINSTALL_HOME,
)


def rules(role: Role) -> list[dict[str, Any]]:
    """The rules of a Role or ClusterRole object, one per API group and verbs."""
    merged: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for right in role.rights:
        for resource in right.resources:
            plural = f"{resource.plural}/{right.subresource}" if right.subresource else resource.plural
            merged.setdefault((resource.group, right.verbs), []).append(plural)
    return [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": list(verbs)}
        for (group, verbs), plurals in merged.items()
    ]
