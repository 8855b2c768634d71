"""Kubeconfigs with the rights that the chart gives, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from e2e.clusters.access import Cluster
from sojourn_operator.rbac import GATEWAY, HOME, KUBERAY, OPERATOR, Role, rules

NAME = "sojourn-operator"
_RBAC = "rbac.authorization.k8s.io"


def operator_kubeconfig(cluster: Cluster, namespace: str, folder: Path) -> Path:
    """Make the operator's account and role in a namespace, as in namespaced mode, and a file that speaks for it."""
    return account_kubeconfig(cluster, namespace, NAME, (OPERATOR, KUBERAY, GATEWAY, HOME), folder)


def account_kubeconfig(cluster: Cluster, namespace: str, name: str, roles: Iterable[Role], folder: Path) -> Path:
    """Make an account with these roles in its namespace, and a file that speaks for it there."""
    meta = {"name": name, "namespace": namespace}
    granted = [rule for role in roles for rule in rules(role)]
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": meta, "rules": granted},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        },
    )
    token = cluster.kubectl("create", "token", name, f"--namespace={namespace}", "--duration=8h").strip()
    config: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    path = folder / f"{cluster.name}-{namespace}-{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


def allow(cluster: Cluster, home: str, name: str, namespace: str) -> None:
    """Let an account of the namespace `home` do in another one what it may do in its own."""
    role = cluster.get("role", name, home)
    meta = {"name": name, "namespace": namespace}
    cluster.apply(
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": meta, "rules": role["rules"]},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": home}],
        },
    )


def cluster_role(cluster: Cluster, namespace: str, name: str, role: Role) -> str:
    """Give an account a role on what belongs to the whole cluster; the name of role and binding, to be deleted."""
    meta = {"name": f"{namespace}-{name}"}
    cluster.apply(
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules(role)},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": meta["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    )
    return meta["name"]
