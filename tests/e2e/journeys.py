"""Two clusters with an operator each, between which tests let runs move."""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.jobs import RunningJob
from e2e.operator_process import OperatorProcess
from e2e.rights import NAME as OPERATOR_ACCOUNT
from e2e.rights import account_kubeconfig, cluster_role
from sojourn_operator.rbac import CLUSTER, REMOTE, REMOTE_CLUSTER

Json = dict[str, Any]
API = "sojourn.dev/v1alpha1"


@dataclass
class Place:
    """One cluster with a namespace of the test's own, a store in it, and an operator that acts there alone."""

    cluster: Cluster
    namespace: str
    operator: OperatorProcess
    folder: Path
    # The name by which this cluster's operator knows the other one.
    other: str

    def job(self, name: str = "digits") -> RunningJob:
        return RunningJob(self.cluster, self.namespace, name)

    def status(self, name: str) -> Json:
        """A Migration's status."""
        found: Json = self.cluster.get("migration", name, self.namespace).get("status", {})
        return found

    def until(self, name: str, wanted: Callable[[Json], Any], what: str, seconds: float = 300) -> Json:
        """A Migration's status once it is as wanted."""
        deadline = time.monotonic() + seconds
        while not wanted(status := self.status(name)):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{what}: not within {seconds:g} s\n{json.dumps(status, indent=1)}\n{self.story()}"
                )
            time.sleep(0.5)
        return status

    def apply_code(self, code: str) -> None:
        """Make the ConfigMap `code` that jobs name, with a module `tasks`."""
        metadata = {"name": "code", "namespace": self.namespace}
        self.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"tasks.py": code}})

    def apply_job(self, name: str, spec: Mapping[str, Any]) -> None:
        """Make a TrainingJob."""
        metadata = {"name": name, "namespace": self.namespace}
        self.cluster.apply({"apiVersion": API, "kind": "TrainingJob", "metadata": metadata, "spec": dict(spec)})

    def migrate(self, name: str, **spec: Any) -> None:
        """Make a Migration."""
        metadata = {"name": name, "namespace": self.namespace}
        self.cluster.apply({"apiVersion": API, "kind": "Migration", "metadata": metadata, "spec": spec})

    def story(self) -> str:
        """What a person would look at."""
        parts = [self.operator.log.read_text()[-3000:]]
        for arguments in (
            ("get", "migrations,trainingjobs,trainingattempts,checkpointtransfers,checkpointstores,pods", "-o", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
        ):
            try:
                parts.append(self.cluster.kubectl(f"--namespace={self.namespace}", *arguments))
            except ClusterError as error:
                parts.append(str(error))
        return "\n".join(parts)


def complete(status: Json) -> bool:
    """Whether a Migration has ended well; one that will not fails the test."""
    assert status.get("phase") not in ("Failed", "Undoing"), status
    return bool(status.get("phase") == "Complete")


@contextmanager
def two_places(east: Cluster, west: Cluster, images: Mapping[str, str], logs: Path) -> Iterator[tuple[Place, Place]]:
    """East and west, each knowing the other as a RemoteCluster."""
    suffix = secrets.token_hex(3)
    for cluster in (east, west):
        install_definitions(cluster)
    with ExitStack() as stack:
        namespaces = [stack.enter_context(cluster.namespace("mig")) for cluster in (east, west)]
        places = [
            _place(stack, cluster, namespace, images, logs, f"{other.name}-{suffix}")
            for cluster, other, namespace in zip((east, west), (west, east), namespaces, strict=True)
        ]
        for place, other in zip(places, reversed(places), strict=True):
            _introduce(stack, place, other, logs)
        for place in places:
            # First of all at the end: what a failed test left, its finalizers need operators that know each other.
            stack.callback(_end, place.cluster, place.namespace)
        for place in places:
            place.operator.start()
        for place in places:
            ready = "--for=condition=Ready"
            place.cluster.kubectl("wait", ready, "--timeout=60s", f"remotecluster/{place.other}")
            place.cluster.kubectl(
                "wait", ready, "--timeout=120s", f"--namespace={place.namespace}", "checkpointstore/runs"
            )
        yield places[0], places[1]


def _place(
    stack: ExitStack, cluster: Cluster, namespace: str, images: Mapping[str, str], logs: Path, other: str
) -> Place:
    settings = {
        "namespace": "",
        "namespaces": namespace,
        "cluster-name": cluster.name,
        "trainer-image": images["trainer"],
        "mover-image": images["mover"],
        "serving-image": images["serving"],
    }
    operator = OperatorProcess(cluster, namespace, logs / f"{cluster.name}.log", settings)
    stack.callback(operator.stop)
    folder = store_folder(namespace)
    cluster.apply(
        *claim(namespace, "runs", folder),
        {
            "apiVersion": API,
            "kind": "CheckpointStore",
            "metadata": {"name": "runs", "namespace": namespace},
            "spec": {"pvc": {"claimName": "runs"}},
        },
    )
    return Place(cluster, namespace, operator, folder, other)


def _introduce(stack: ExitStack, place: Place, other: Place, folder: Path) -> None:
    """Make a RemoteCluster, with a kubeconfig that may do in the other's namespace what migrations need."""
    file = account_kubeconfig(other.cluster, other.namespace, "remote", (REMOTE,), folder)
    for cluster, namespace, account, role in (
        (other.cluster, other.namespace, "remote", REMOTE_CLUSTER),
        (place.cluster, place.namespace, OPERATOR_ACCOUNT, CLUSTER),
    ):
        name = cluster_role(cluster, namespace, account, role)
        stack.callback(cluster.kubectl, "delete", "clusterrole,clusterrolebinding", name)
    place.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": place.other, "namespace": place.namespace},
            "data": {"kubeconfig": b64encode(file.read_bytes()).decode()},
        },
        {
            "apiVersion": API,
            "kind": "RemoteCluster",
            "metadata": {"name": place.other},
            "spec": {
                "kubeconfigSecretRef": {"name": place.other},
                "allowedNamespaces": [place.namespace],
                "unreachableAfterSeconds": 600,
            },
        },
    )
    stack.callback(place.cluster.kubectl, "delete", "remotecluster", place.other, "--wait=false")


def _end(cluster: Cluster, namespace: str) -> None:
    kinds = "migrations,checkpointtransfers,trainingjobs"
    cluster.kubectl("delete", kinds, "--all", f"--namespace={namespace}", "--timeout=120s")
