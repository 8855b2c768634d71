"""Names and labels of what a ModelServer is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

SERVER_LABEL: Final = "sojourn.dev/model-server"
REVISION_LABEL: Final = "sojourn.dev/revision"
ROLE_LABEL: Final = "sojourn.dev/role"
VERSION_ANNOTATION: Final = "sojourn.dev/model-version"
MANIFEST_ANNOTATION: Final = "sojourn.dev/model-manifest"
PORT: Final = 8501
_RUN_ID: Final = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def run_name(run: str) -> str:
    """The name of a run that is given as NAME, NAME-RUNID or its folder in the store."""
    return _RUN_ID.sub("", run.rpartition("/")[2])


def digest_of(value: Mapping[str, Any], length: int = 8) -> str:
    """The beginning of a digest of JSON data, to tell one from another in names."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:length]


def resolver_name(server: str, request: str) -> str:
    """Name of the pod that looks up which export a request means."""
    return f"{server}-resolve-{request}"


def deployment_name(server: str, revision: str) -> str:
    """Name of the Deployment of one revision."""
    return f"{server}-{revision}"


def server_labels(server: str) -> dict[str, str]:
    """Labels of everything that belongs to a ModelServer."""
    return {
        "app.kubernetes.io/name": "sojourn-model-server",
        "app.kubernetes.io/managed-by": "sojourn-operator",
        SERVER_LABEL: server,
    }


def revision_selector(server: str, revision: str) -> dict[str, str]:
    """Labels that the serving pods of one revision carry, and no others do."""
    return {SERVER_LABEL: server, REVISION_LABEL: revision}
