"""An installation of the chart on a test cluster, and the kubeconfig by which another cluster's operator uses it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError, run
from e2e.clusters.programs import build_programs
from helpers.helm import CHART

IMAGES = ("operator", "mover", "trainer", "serving")


@dataclass(frozen=True, slots=True)
class Release:
    """One installation: `release("install", *release.settings(images, clusterName="east"))`."""

    cluster: Cluster
    name: str
    namespace: str
    helm: Path

    def __call__(self, verb: str, *options: str) -> str:
        """Run a verb of Helm on this release, and wait until it has taken effect.

        Raises:
            ClusterError: it failed.
        """
        chart = [str(CHART)] if verb in ("install", "upgrade") else []
        wait = ["--wait", "--timeout", "180s"]
        place = ["--namespace", self.namespace, "--kubeconfig", str(self.cluster.kubeconfig)]
        return run(self.helm, verb, self.name, *chart, *place, *wait, *options, timeout=240)

    def kubectl(self, *arguments: str) -> str:
        """kubectl in the operator's namespace."""
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments)

    @property
    def leader(self) -> str:
        """The pod that leads, "" while there is none."""
        try:
            holder = self.kubectl("get", "lease", "sojourn-operator", "-o", "jsonpath={.spec.holderIdentity}")
        except ClusterError:
            return ""
        return holder.rpartition("-")[0]

    def settings(self, images: Mapping[str, str], **values: str) -> list[str]:
        """Options that set the images of this checkout, and further values by their dotted names."""
        given = {f"images.{role}": reference for role, reference in images.items() if role in IMAGES}
        return [f"--set={name}={value}" for name, value in {"fullnameOverride": self.name, **given, **values}.items()]

    def remote_kubeconfig(self, namespace: str = "") -> str:
        """A kubeconfig with a token of the account that remoteAccess.enabled makes.

        Args:
            namespace: one of remoteAccess.namespaces, where these are set.
        """
        place_of_work = {"namespace": namespace} if namespace else {}
        own: dict[str, Any] = yaml.safe_load(self.cluster.kubeconfig.read_text())
        (cluster,) = own["clusters"]
        place = cluster["cluster"]
        if "certificate-authority" in place:
            authority = Path(place["certificate-authority"]).read_bytes()
            place = {"server": place["server"], "certificate-authority-data": base64.b64encode(authority).decode()}
        token = self.kubectl("create", "token", f"{self.name}-remote", "--duration=8h").strip()
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "remote",
                "clusters": [{"name": "remote", "cluster": place}],
                "users": [{"name": "remote", "user": {"token": token}}],
                "contexts": [{"name": "remote", "context": {"cluster": "remote", "user": "remote", **place_of_work}}],
            }
        )


@contextmanager
def release_of(cluster: Cluster, purpose: str = "chart") -> Iterator[Release]:
    """A release, not yet installed, in a new namespace that is gone afterwards."""
    with cluster.namespace(purpose) as namespace:
        yield Release(cluster, f"s-{secrets.token_hex(3)}", namespace, build_programs()["helm"])
