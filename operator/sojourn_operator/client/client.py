"""A cluster as people use it: submit, list, find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sojourn_operator.client.job import Job
from sojourn_operator.client.migration import MigrationHandle
from sojourn_operator.client.namespace import Namespace
from sojourn_operator.client.server import Server
from sojourn_operator.client.submit import create, prepare
from sojourn_operator.resources import MIGRATIONS, MODEL_SERVERS, REMOTE_CLUSTERS, TRAINING_JOBS
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True)
class Client(Namespace):
    """One cluster, and the namespace that names without one are looked for in."""

    def submit(self, manifest: str | Path, *, assign: Sequence[str] = ()) -> Job:
        """Create the TrainingJob of a file with everything that the file and its code need; see `sojourn submit`.

        Raises:
            InvalidInput: the manifest is not valid, or its code cannot be brought to the cluster.
            Refused: a job of that name is there.
        """
        return create(self, prepare(self, manifest, assign))

    def job(self, name: str) -> Job:
        """A TrainingJob. Raises NotFound where there is none of that name."""
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
        self.need(MIGRATIONS, name)
        return MigrationHandle(self, name)

    def server(self, name: str) -> Server:
        """A ModelServer. Raises NotFound where there is none of that name."""
        self.need(MODEL_SERVERS, name)
        return Server(self, name)
