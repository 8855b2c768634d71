"""A kubeconfig with the rights that the chart gives the operator in namespaced mode, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from e2e.clusters.access import Cluster
from sojourn_operator.rbac import GATEWAY, HOME, KUBERAY, OPERATOR, rules

NAME = "sojourn-operator"
_RBAC = "rbac.authorization.k8s.io"


def operator_kubeconfig(cluster: Cluster, namespace: str, folder: Path) -> Path:
    """Make the operator's account and role in a namespace, and a file that speaks for it."""
    meta = {"name": NAME, "namespace": namespace}
    granted = [rule for role in (OPERATOR, KUBERAY, GATEWAY, HOME) for rule in rules(role)]
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": meta, "rules": granted},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        },
    )
    token = cluster.kubectl("create", "token", NAME, f"--namespace={namespace}", "--duration=8h").strip()
    config: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = folder / f"{cluster.name}-{namespace}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path
