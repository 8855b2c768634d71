"""What tests hold of a cluster: its kubeconfig, kubectl, a client, namespaces in which jobs may run."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config

from e2e.clusters.commands import ClusterError, run
from e2e.clusters.layout import Site
from e2e.clusters.volumes import NAMESPACE_LABEL

# A context of somebody's real cluster must not become a test's playground by a slip.
FOR_TESTS = re.compile(r"test|e2e|^east$|^west$", re.IGNORECASE)


@dataclass(frozen=True)
class Cluster:
    """One cluster as tests use it."""

    name: str
    kubeconfig: Path
    kubectl_path: Path
    # None for a cluster that was brought along.
    site: Site | None = None

    @property
    def node_address(self) -> str | None:
        """The address of the node that the other cluster's pods reach, of a cluster that is ours."""
        return self.site.wan if self.site else None

    @classmethod
    def of_site(cls, site: Site, kubectl: Path) -> Cluster:
        return cls(site.name, site.kubeconfig, kubectl, site)

    @classmethod
    def brought_along(cls, name: str, kubeconfig: Path, kubectl: Path) -> Cluster:
        """A cluster that exists already.

        Raises:
            ClusterError: the kubeconfig's current context is not named for tests.
        """
        context = str(yaml.safe_load(kubeconfig.read_text()).get("current-context", ""))
        if not FOR_TESTS.search(context):
            raise ClusterError(
                f"{kubeconfig}: the tests do not touch the context {context!r}: "
                "its name must contain test or e2e, or be east or west"
            )
        return cls(name, kubeconfig, kubectl)

    @cached_property
    def api(self) -> client.ApiClient:
        """A client of the official Python library."""
        return new_client_from_config(str(self.kubeconfig))

    def kubectl(self, *arguments: str | Path, stdin: str | None = None, timeout: float = 300) -> str:
        """Run kubectl and return what it printed.

        Raises:
            ClusterError: it failed.
        """
        return run(self.kubectl_path, f"--kubeconfig={self.kubeconfig}", *arguments, stdin=stdin, timeout=timeout)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects on the server's side."""
        text = yaml.safe_dump_all([dict(one) for one in objects])
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object as the API server has it."""
        place = [f"--namespace={namespace}"] if namespace else []
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, *place, "-o", "json"))
        return found

    @contextmanager
    def namespace(self, purpose: str, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """A new namespace `<purpose>-<random>` that holds its pods to the restricted standard; gone afterwards."""
        name = f"{purpose}-{secrets.token_hex(3)}"
        metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted", **(labels or {})}}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        # Without it a pod is refused.
        self.kubectl("wait", "serviceaccount/default", f"--namespace={name}", "--for=create", "--timeout=60s")
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")
            self.kubectl("delete", "persistentvolumes", f"--selector={NAMESPACE_LABEL}={name}", "--wait=false")


def restricted_pod(
    name: str,
    image: str,
    command: Iterable[str],
    *,
    container: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A pod that runs a command once and that the restricted standard lets pass; /tmp is writable."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "command": list(command),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    **(container or {}),
                }
            ],
            **(spec or {}),
        },
    }


def kubeconfig_from_environment(name: str) -> Path | None:
    """The file that SOJOURN_E2E_EAST or SOJOURN_E2E_WEST names.

    Raises:
        ClusterError: there is no such file.
    """
    given = os.environ.get(f"SOJOURN_E2E_{name.upper()}")
    if not given:
        return None
    path = Path(given)
    if not path.is_file():
        raise ClusterError(f"SOJOURN_E2E_{name.upper()}={given}: no such file")
    return path
