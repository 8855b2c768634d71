"""What a job's pods may do and who may reach them: one account, one role, one policy and one token per job."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from sojourn_operator.engines.names import (
    DASHBOARD_PORT,
    JOB_LABEL,
    METRICS_PORT,
    account_name,
    common_labels,
    dashboard_name,
    token_secret_name,
)
from sojourn_operator.resources import GROUP
from sojourn_operator.runtime.objects import Object, owner_reference

_RBAC = "rbac.authorization.k8s.io"


def token_secret(job: Object, token: str) -> Object:
    """The job's Ray token. The operator may not read it back: it is made once."""
    data = {"token": base64.b64encode(token.encode()).decode()}
    return {**_object("v1", "Secret", job, token_secret_name(_name(job))), "type": "Opaque", "data": data}


def access_objects(job: Object, attempts: Sequence[str], account: str | None, heads: Mapping[str, str]) -> list[Object]:
    """ServiceAccount (unless the job brings its own), Role, RoleBinding, NetworkPolicy and dashboard Service.

    Args:
        attempts: names of the attempts that the pods may read and report to.
        account: the ServiceAccount that the job names itself.
        heads: labels that only the head's pods have.
    """
    objects = [] if account else [_account(job)]
    return [*objects, _role(job, attempts), _binding(job, account), _network_policy(job), _dashboard(job, heads)]


def _account(job: Object) -> Object:
    # Tokens are mounted where a pod asks for them, not in whatever else runs under this account.
    account = _object("v1", "ServiceAccount", job, account_name(_name(job)))
    return {**account, "automountServiceAccountToken": False}


def _role(job: Object, attempts: Sequence[str]) -> Object:
    names = sorted(attempts)
    return {
        **_object(f"{_RBAC}/v1", "Role", job, account_name(_name(job))),
        "rules": [
            {
                "apiGroups": [GROUP],
                "resources": ["trainingattempts"],
                "resourceNames": names,
                "verbs": ["get", "watch"],
            },
            {
                "apiGroups": [GROUP],
                "resources": ["trainingattempts/status"],
                "resourceNames": names,
                "verbs": ["patch"],
            },
        ],
    }


def _binding(job: Object, account: str | None) -> Object:
    name = account_name(_name(job))
    subject = {"kind": "ServiceAccount", "name": account or name, "namespace": job["metadata"]["namespace"]}
    return {
        **_object(f"{_RBAC}/v1", "RoleBinding", job, name),
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
        "subjects": [subject],
    }


def _network_policy(job: Object) -> Object:
    """Pods of the job reach one another on every port; the namespace reaches the dashboard, anybody the metrics."""
    pods = {"matchLabels": {JOB_LABEL: _name(job)}}
    return {
        **_object("networking.k8s.io/v1", "NetworkPolicy", job, account_name(_name(job))),
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": pods}]},
                {"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": DASHBOARD_PORT}]},
                {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": METRICS_PORT}]},
            ],
        },
    }


def _dashboard(job: Object, heads: Mapping[str, str]) -> Object:
    port = {"name": "dashboard", "port": DASHBOARD_PORT, "targetPort": DASHBOARD_PORT, "protocol": "TCP"}
    return {
        **_object("v1", "Service", job, dashboard_name(_name(job))),
        "spec": {"selector": {JOB_LABEL: _name(job), **heads}, "ports": [port]},
    }


def _object(api_version: str, kind: str, job: Object, name: str) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": job["metadata"]["namespace"],
            "labels": common_labels(_name(job)),
            "ownerReferences": [owner_reference(job)],
        },
    }


def _name(job: Object) -> str:
    return str(job["metadata"]["name"])
