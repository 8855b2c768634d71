"""Whether a migration may reach into a namespace, here or in another cluster, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.context import Context
from sojourn_operator.migration.names import ALLOWED_NAMESPACES
from sojourn_operator.remotecluster.status import other_keeper
from sojourn_operator.resources import NAMESPACES, REMOTE_CLUSTERS
from sojourn_operator.runtime.cluster import Cluster
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that would make a migration fail: a reason of the fixed set, and words."""

    reason: str
    message: str


def reach(context: Context, migration: Object, cluster: str, namespace: str) -> tuple[Cluster | None, Problem | None]:
    """The cluster seen through the namespace, or why it is out of reach."""
    own = migration["metadata"]["namespace"]
    if not cluster and namespace == own:
        return context.cluster, None
    problem = _problem(context, own, cluster, namespace)
    if problem is not None:
        return None, problem
    if not cluster:
        return context.cluster, None
    view = context.remotes.view(cluster, namespace)
    if view is None:
        return None, Problem("Connecting", f"looking into namespace {namespace} of cluster {cluster}")
    return view, None


def _problem(context: Context, own: str, cluster: str, namespace: str) -> Problem | None:
    if context.settings.namespace:
        where = f"cluster {cluster}" if cluster else f"namespace {namespace}"
        return Problem("NamespacedMode", f"this operator acts in namespace {own} only, and cannot reach {where}")
    if cluster:
        remote = context.cluster.cached(REMOTE_CLUSTERS).get("", cluster)
        keeper = other_keeper(remote or {}, context.home, context.clock.now())
        if keeper:
            message = (
                f"RemoteCluster {cluster} is held by the operator in namespace {keeper}; make one for {context.home}"
            )
            return Problem("ClusterOfOtherOperator", message)
        return _problem_of_cluster(remote, own, cluster)
    return _problem_of_namespace(context.cluster.port.get(NAMESPACES, "", namespace), own, namespace)


def _problem_of_cluster(remote: Object | None, own: str, name: str) -> Problem | None:
    if remote is None:
        return Problem("ClusterNotFound", f"there is no RemoteCluster {name}")
    if not {own, "*"} & set(remote["spec"]["allowedNamespaces"]):
        return Problem("NamespaceNotAllowed", f"spec.allowedNamespaces of RemoteCluster {name} does not list {own}")
    if not is_true(remote, "Ready"):
        ready: Mapping[str, Any] = get_condition(remote, "Ready") or {}
        why = ready.get("message") or ready.get("reason", "it has not been looked at yet")
        return Problem("ClusterNotReady", f"RemoteCluster {name} is not ready: {why}")
    return None


def _problem_of_namespace(other: Object | None, own: str, namespace: str) -> Problem | None:
    """The operator may do in every namespace what the author of a migration may do in his own only."""
    if other is None:
        return Problem("NamespaceNotFound", f"namespace {namespace} does not exist")
    allowed = other["metadata"].get("annotations", {}).get(ALLOWED_NAMESPACES, "")
    if {own, "*"} & {name.strip() for name in allowed.split(",")}:
        return None
    hint = f"kubectl annotate namespace {namespace} {ALLOWED_NAMESPACES}={own}"
    return Problem("NamespaceNotAllowed", f"{namespace} does not allow migrations of {own}; who owns it can: {hint}")
