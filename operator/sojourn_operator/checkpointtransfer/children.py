"""What a mover consists of: its Job, the right to report about one object, and a Service where it listens (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sojourn_operator.checkpointtransfer.observe import Observed
from sojourn_operator.engines.storage import relay_store, run_store
from sojourn_operator.movers.names import CONTAINER, PORT, TRANSFER_LABEL, labels, mover_name
from sojourn_operator.movers.pod import Mover, mover_job
from sojourn_operator.resources import GROUP
from sojourn_operator.runtime.objects import Object, owner_reference
from sojourn_operator.settings import Settings

_RBAC: Final = "rbac.authorization.k8s.io"
_LIMIT: Final = 1000
# The default caps one stream over a long link at some hundred Mbit/s.
_SYSCTLS: Final = (
    {"name": "net.ipv4.tcp_wmem", "value": "4096 16384 33554432"},
    {"name": "net.ipv4.tcp_rmem", "value": "4096 131072 33554432"},
)
# Said in the object's status, and not to be tried again; others may pass.
_LASTING: Final = (2, 4, 5)


def job(seen: Observed, store: Mapping[str, Any], relay: Mapping[str, Any] | None, settings: Settings) -> Object:
    """The mover's Job; made once.

    Args:
        store, relay: resolved stores.
    """
    spec = seen.spec
    attached = run_store(store)
    if relay:
        attached += relay_store(relay)
    mover = Mover(
        verb=spec["role"].lower(),
        attached=attached,
        env={"SOJOURN_TRANSFER_NAME": seen.name, "SOJOURN_TRANSFER_NAMESPACE": seen.namespace},
        account=mover_name(seen.name),
        template=spec.get("podTemplate", {}),
        image={name: spec[name] for name in ("image", "imagePullPolicy") if name in spec},
        resources=spec.get("resources", {}),
        job={
            "backoffLimit": _LIMIT,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": list(_LASTING)},
                    },
                ]
            },
        },
        pod={"securityContext": {"sysctls": list(_SYSCTLS)}, "terminationGracePeriodSeconds": 30},
        container={"ports": [{"name": "mover", "containerPort": PORT, "protocol": "TCP"}]} if seen.listens else {},
    )
    return mover_job(mover_name(seen.name), seen.transfer, labels(TRANSFER_LABEL, seen.transfer), mover, settings)


def others(seen: Observed) -> Iterator[Object]:
    """ServiceAccount (unless the user brings one), Role, RoleBinding, NetworkPolicy, and the Service of a listener."""
    account = seen.spec.get("podTemplate", {}).get("serviceAccountName")
    if not account:
        yield {**_object(seen, "v1", "ServiceAccount"), "automountServiceAccountToken": False}
    yield _role(seen)
    yield _binding(seen, account or mover_name(seen.name))
    yield _network_policy(seen)
    if seen.listens:
        yield _service(seen)


def _role(seen: Observed) -> Object:
    return {
        **_object(seen, f"{_RBAC}/v1", "Role"),
        "rules": [
            {
                "apiGroups": [GROUP],
                "resources": ["checkpointtransfers"],
                "resourceNames": [seen.name],
                "verbs": ["get", "watch"],
            },
            {
                "apiGroups": [GROUP],
                "resources": ["checkpointtransfers/status"],
                "resourceNames": [seen.name],
                "verbs": ["patch"],
            },
        ],
    }


def _binding(seen: Observed, account: str) -> Object:
    return {
        **_object(seen, f"{_RBAC}/v1", "RoleBinding"),
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": mover_name(seen.name)},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": seen.namespace}],
    }


def _network_policy(seen: Observed) -> Object:
    """Anybody reaches the port of a listener, whose mutual TLS tells the peer from others; nobody reaches more."""
    ingress = [{"ports": [{"protocol": "TCP", "port": PORT}]}] if seen.listens else []
    return {
        **_object(seen, "networking.k8s.io/v1", "NetworkPolicy"),
        "spec": {"podSelector": {"matchLabels": _selector(seen)}, "policyTypes": ["Ingress"], "ingress": ingress},
    }


def _service(seen: Observed) -> Object:
    kind = seen.spec.get("exposure", {}).get("type", "NodePort")
    return {
        **_object(seen, "v1", "Service"),
        "spec": {
            "type": "ClusterIP" if kind == "Address" else kind,
            "selector": _selector(seen),
            "ports": [{"name": "mover", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def _selector(seen: Observed) -> dict[str, str]:
    return {TRANSFER_LABEL: seen.name}


def _object(seen: Observed, api_version: str, kind: str) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": mover_name(seen.name),
            "namespace": seen.namespace,
            "labels": labels(TRANSFER_LABEL, seen.transfer),
            "ownerReferences": [owner_reference(seen.transfer)],
        },
    }
