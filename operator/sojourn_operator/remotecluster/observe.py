"""One look at another cluster: does it answer, what may we do there, and who would understand us."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sojourn.errors import InvalidInput
from sojourn_operator.rbac import REMOTE
from sojourn_operator.resources import CUSTOM_RESOURCE_DEFINITIONS, GROUP, LEASES
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.connection import Connection, from_kubeconfig_text
from sojourn_operator.runtime.objects import Object
from sojourn_operator.runtime.port import ClusterPort, Forbidden, Unauthorized, Unavailable

VERSION_ANNOTATION = f"{GROUP}/version"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a RemoteCluster cannot be used: a reason of the fixed set, and words."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Login:
    """What a kubeconfig says; `digest` tells whether it has changed."""

    connection: Connection
    digest: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look found. Without `version` the cluster gave no answer, and `trouble` says why.

    Args:
        operator_problem: why nothing is known of the operator there, None if it was found.
    """

    server: str
    trouble: str = ""
    version: str = ""
    refused: str = ""
    denied: tuple[str, ...] = ()
    definitions: tuple[tuple[str, str | None], ...] | None = None
    operator_problem: Problem | None = None
    operator_version: str = ""
    operator_seen: datetime | None = None


def read_login(cluster: Object, secret: Object | None) -> Login | Problem:
    """The connection that a RemoteCluster's Secret describes."""
    reference = cluster["spec"]["kubeconfigSecretRef"]
    name, key = reference["name"], reference.get("key", "kubeconfig")
    if secret is None:
        return Problem("SecretNotFound", f"the operator's namespace has no Secret {name}")
    if key not in secret.get("data", {}):
        return Problem("KeyNotFound", f"Secret {name} has no key {key}")
    try:
        text = b64decode(secret["data"][key]).decode()
        return Login(from_kubeconfig_text(text), sha256(text.encode()).hexdigest())
    except (NotBase64, UnicodeDecodeError):
        return Problem("KubeconfigRefused", f"{key} of Secret {name} is not text")
    except InvalidInput as error:
        hint = f": {error.hint}" if error.hint else ""
        return Problem("KubeconfigRefused", f"{key} of Secret {name}: {error.message}{hint}")


def look(port: ClusterPort, connection: Connection, homes: tuple[str, ...], lease_name: str) -> Sight:
    """Ask a cluster everything that matters. The Lease of its operator is looked for in these namespaces."""
    server = connection.server
    try:
        version = port.version()
        denied = tuple(_denied(port, connection.namespace))
        definitions = _definitions(port)
        lease = _lease(port, homes, lease_name)
    except Unauthorized as error:
        return Sight(server, version="unknown", refused=error.message)
    except Unavailable as error:
        return Sight(server, trouble=error.message)
    if isinstance(lease, Problem):
        return Sight(server, version=version, denied=denied, definitions=definitions, operator_problem=lease)
    renewed = lease["spec"].get("renewTime")
    return Sight(
        server,
        version=version,
        denied=denied,
        definitions=definitions,
        operator_version=lease["metadata"].get("annotations", {}).get(VERSION_ANNOTATION, ""),
        operator_seen=parse_rfc3339(renewed) if renewed else None,
    )


def _denied(port: ClusterPort, namespace: str) -> list[str]:
    """What of the role that other clusters' operators need we do not have."""
    denied = []
    for right in REMOTE.rights:
        for resource in right.resources:
            for verb in right.verbs:
                attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
                if namespace:
                    attributes["namespace"] = namespace
                review = port.create(
                    {
                        "apiVersion": "authorization.k8s.io/v1",
                        "kind": "SelfSubjectAccessReview",
                        "metadata": {},
                        "spec": {"resourceAttributes": attributes},
                    }
                )
                if not review["status"]["allowed"]:
                    denied.append(f"{verb} {resource.plural}")
    return denied


def _definitions(port: ClusterPort) -> tuple[tuple[str, str | None], ...] | None:
    """For each kind that we would use, the version of Sojourn that installed it; None if we may not look."""
    found: list[tuple[str, str | None]] = []
    for resource in dict.fromkeys(resource for right in REMOTE.rights for resource in right.resources):
        try:
            definition = port.get(CUSTOM_RESOURCE_DEFINITIONS, "", f"{resource.plural}.{resource.group}")
        except Forbidden:
            return None
        annotations = definition["metadata"].get("annotations", {}) if definition is not None else {}
        found.append((resource.plural, annotations.get(VERSION_ANNOTATION, "") if definition is not None else None))
    return tuple(found)


def _lease(port: ClusterPort, homes: tuple[str, ...], name: str) -> Object | Problem:
    """The Lease of the operator there, or why it was not found."""
    unread = []
    for namespace in homes:
        try:
            lease = port.get(LEASES, namespace, name)
        except Unauthorized:
            raise
        except Forbidden:
            unread.append(namespace)
            continue
        if lease is not None:
            return lease
    if unread:
        message = (
            f"the credential may not get Lease {name} in namespace {' and '.join(unread)}: name the operator's "
            "namespace there in spec.operatorNamespace, and bind the role there"
        )
        return Problem("LeaseUnreadable", message)
    message = (
        f"no Lease {name} in namespace {' and '.join(homes)} there: name the operator's namespace there in "
        "spec.operatorNamespace, and its Lease in spec.operatorLeaseName if the chart there sets leaseName"
    )
    return Problem("LeaseNotFound", message)
