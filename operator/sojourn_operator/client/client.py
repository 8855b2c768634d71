"""A cluster as people use it: submit, list, find."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.errors import NotFound
from sojourn_operator.client.errors import NotInstalled, TimedOut
from sojourn_operator.client.pods import PodStreams
from sojourn_operator.resources import MIGRATIONS, MODEL_SERVERS, REMOTE_CLUSTERS, TRAINING_JOBS
from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import ClusterPort, Missing

if TYPE_CHECKING:
    from sojourn_operator.client.job import Job
    from sojourn_operator.client.migration import MigrationHandle
    from sojourn_operator.client.server import Server

INSTALL_HINT = "Install it: helm install sojourn charts/sojourn, or kubectl apply -k manifests/install."


@dataclass(frozen=True, slots=True)
class Client:
    """One cluster, and the namespace that names without one are looked for in.

    Args:
        poll_seconds: how often it looks while it waits.
    """

    port: ClusterPort
    pods: PodStreams
    namespace: str
    clock: Clock
    sleep: Callable[[float], None] = field(default=time.sleep)
    poll_seconds: float = 1.0

    def submit(self, manifest: str | Path, *, assign: Sequence[str] = ()) -> Job:
        """Create the TrainingJob of a file with everything that the file and its code need; see `sojourn submit`.

        Raises:
            InvalidInput: the manifest is not valid, or its code cannot be brought to the cluster.
            Refused: a job of that name is there.
        """
        from sojourn_operator.client.submit import create, prepare

        return create(self, prepare(self, manifest, assign))

    def job(self, name: str) -> Job:
        """A TrainingJob. Raises NotFound where there is none of that name."""
        from sojourn_operator.client.job import Job

        self.need(TRAINING_JOBS, name)
        return Job(self, name)

    def jobs(self, *, all_namespaces: bool = False) -> Sequence[Object]:
        """The TrainingJobs, oldest first."""
        return self.all(TRAINING_JOBS, "" if all_namespaces else self.namespace)

    def clusters(self) -> Sequence[Object]:
        """The RemoteClusters."""
        return self.all(REMOTE_CLUSTERS, "")

    def migration(self, name: str) -> MigrationHandle:
        """A Migration. Raises NotFound where there is none of that name."""
        from sojourn_operator.client.migration import MigrationHandle

        self.need(MIGRATIONS, name)
        return MigrationHandle(self, name)

    def server(self, name: str) -> Server:
        """A ModelServer. Raises NotFound where there is none of that name."""
        from sojourn_operator.client.server import Server

        self.need(MODEL_SERVERS, name)
        return Server(self, name)

    def all(self, resource: Resource, namespace: str, labels: str = "") -> Sequence[Object]:
        """Objects of a kind, oldest first. Raises NotInstalled where the cluster does not know it."""
        try:
            found = self.port.list(resource, namespace, labels).items
        except Missing as error:
            raise NotInstalled(
                f"this cluster does not know {resource.plural}.{resource.group}", hint=INSTALL_HINT
            ) from error
        return sorted(found, key=lambda obj: (obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]))

    def need(self, resource: Resource, name: str) -> Object:
        """An object of this namespace. Raises NotFound, and says which there are."""
        found = self.port.get(resource, self.namespace if resource.namespaced else "", name)
        if found is not None:
            return found
        names = [obj["metadata"]["name"] for obj in self.all(resource, self.namespace if resource.namespaced else "")]
        where = f" in namespace {self.namespace}" if resource.namespaced else ""
        there = f"There are: {', '.join(names[-8:])}." if names else f"There is no {resource.kind} at all{where}."
        raise NotFound(f"there is no {resource.kind} {name!r}{where}", hint=there)

    def looks(self, timeout: float | None, what: str) -> Iterator[None]:
        """One item per look at what is waited for. Raises TimedOut after `timeout` seconds."""
        start = self.clock.monotonic()
        while True:
            yield
            if timeout is not None and self.clock.monotonic() - start >= timeout:
                raise TimedOut(f"{what} takes longer than {timeout:g} s", hint="It goes on; look again later.")
            self.sleep(self.poll_seconds)
