"""What a ModelServer is made of: a Deployment per revision, and once a Service and a disruption budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.engines.storage import Attached
from sojourn_operator.modelserver.names import (
    MANIFEST_ANNOTATION,
    REVISION_LABEL,
    SERVER_LABEL,
    VERSION_ANNOTATION,
    deployment_name,
    digest_of,
    resolver_name,
    revision_selector,
    server_labels,
)
from sojourn_operator.modelserver.pods import Export, server_spec
from sojourn_operator.runtime.objects import Object, owner_reference
from sojourn_operator.settings import Settings

SERVICE_PORT = 80


@dataclass(frozen=True, slots=True)
class Revision:
    """An export together with the pods that are to serve it. Neither ever changes under this name."""

    name: str
    export: Export
    template: Mapping[str, Any]


def revision(server: Object, access: Attached, export: Export, settings: Settings) -> Revision:
    """The revision that a ModelServer's spec asks for, given the export that it means."""
    name, spec = server["metadata"]["name"], server["spec"]
    user = spec.get("podTemplate", {})
    body = server_spec(name, spec, access, export, settings)
    named = f"v{export.version}-{digest_of({'spec': body, 'meta': [user.get('labels'), user.get('annotations')]})}"
    metadata = {"labels": {**user.get("labels", {}), **server_labels(name), **revision_selector(name, named)}}
    if user.get("annotations"):
        metadata["annotations"] = dict(user["annotations"])
    return Revision(named, export, {"metadata": metadata, "spec": body})


def deployment(server: Object, wanted: Revision, replicas: int) -> dict[str, Any]:
    """The Deployment of a revision."""
    name, spec = server["metadata"]["name"], server["spec"]
    metadata = _metadata(server, deployment_name(name, wanted.name))
    metadata["labels"][REVISION_LABEL] = wanted.name
    metadata["annotations"] = {
        VERSION_ANNOTATION: str(wanted.export.version),
        MANIFEST_ANNOTATION: wanted.export.manifest,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": spec["progressDeadlineSeconds"],
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "selector": {"matchLabels": revision_selector(name, wanted.name)},
            "template": dict(wanted.template),
        },
    }


def service(server: Object, active: str) -> dict[str, Any]:
    """The Service. Its selector is the one place that says which revision gets the requests."""
    name = server["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(server, name),
        "spec": {
            "selector": revision_selector(name, active),
            "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def disruption_budget(server: Object) -> dict[str, Any]:
    """At most one serving pod at a time may be evicted."""
    name = server["metadata"]["name"]
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(server, name),
        "spec": {
            "maxUnavailable": 1,
            "selector": {
                "matchLabels": {SERVER_LABEL: name},
                "matchExpressions": [{"key": REVISION_LABEL, "operator": "Exists"}],
            },
        },
    }


def resolver(server: Object, request: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The pod that looks up an export."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(server, resolver_name(server["metadata"]["name"], request)),
        "spec": dict(spec),
    }


def _metadata(server: Object, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": server["metadata"]["namespace"],
        "labels": server_labels(server["metadata"]["name"]),
        "ownerReferences": [owner_reference(server)],
    }
