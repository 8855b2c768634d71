"""A Migration to start, watch and wait for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.client.errors import JobFailed
from sojourn_operator.client.namespace import Namespace
from sojourn_operator.resources import MIGRATIONS, REMOTE_CLUSTERS, TRAINING_JOBS
from sojourn_operator.runtime.conditions import get_condition, is_true
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What is asked for. "" and 0 leave the choice to the operator.

    Args:
        cluster: name of a RemoteCluster, or "" for this cluster.
        serve: replicas of a ModelServer at the target; 0 for none.
        resume: go on training there.
        copy: the source goes on too.
        standby: stop the source only when the target's pods are ready for the run; a copy stops nothing.
    """

    cluster: str = ""
    namespace: str = ""
    store: str = ""
    name: str = ""
    serve: int = 0
    resume: bool = True
    copy: bool = False
    standby: bool = True
    dry_run: bool = False


def migration_of(job: str, namespace: str, journey: Journey, name: str) -> dict[str, Any]:
    """The Migration object. Pure."""
    target = {
        "cluster": journey.cluster,
        "namespace": journey.namespace,
        "storeRef": {"name": journey.store} if journey.store else "",
        "name": journey.name,
    }
    spec: dict[str, Any] = {
        "mode": "Copy" if journey.copy else "Cold",
        "source": {"trainingJob": job},
        "target": {key: value for key, value in target.items() if value},
    }
    if journey.resume:
        spec["resume"] = {} if journey.standby or journey.copy else {"standby": False}
    if journey.serve:
        spec["serve"] = {"replicas": journey.serve}
    if journey.dry_run:
        spec["dryRun"] = True
    return {
        "apiVersion": MIGRATIONS.api_version,
        "kind": MIGRATIONS.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def migrate(client: Namespace, job: str, journey: Journey) -> MigrationHandle:
    """Start a migration of a TrainingJob.

    Raises:
        NotFound: there is no such job, or no such RemoteCluster.
    """
    client.need(TRAINING_JOBS, job)
    if journey.cluster:
        client.need(REMOTE_CLUSTERS, journey.cluster)
    name = migration_name(client, job)
    client.port.create(migration_of(job, client.namespace, journey, name))
    return MigrationHandle(client, name)


def migration_name(client: Namespace, job: str) -> str:
    """A new name for a Migration of that job. To the second: another one is asked for by a person."""
    stamp = client.clock.now().strftime("%m%d-%H%M%S")
    return f"{job[:28].rstrip('-')}-{stamp}"


@dataclass(frozen=True, slots=True)
class MigrationHandle:
    """A Migration of the client's namespace."""

    client: Namespace
    name: str

    @property
    def object(self) -> Object:
        """The Migration as it is now. Raises NotFound."""
        return self.client.need(MIGRATIONS, self.name)

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status; {} while the operator has not seen it."""
        found: Mapping[str, Any] = self.object.get("status", {})
        return found

    def wait(self, timeout: float | None = None) -> Mapping[str, Any]:
        """Wait until it has ended, or a dry run has its plan; its status then.

        Raises:
            JobFailed: it failed.
            TimedOut: it goes on after `timeout` seconds.
        """
        found: Object = {}
        for _ in self.client.looks(timeout, f"Migration {self.name}"):
            found = self.object
            if self.is_over(found):
                break
        if said := failure_of(found):
            raise JobFailed(f"Migration {self.name}: {said}", hint=f"kubectl describe migration {self.name}")
        status: Mapping[str, Any] = found["status"]
        return status

    @staticmethod
    def is_over(found: Object) -> bool:
        """Whether a Migration has ended, or a dry run has found out what it can."""
        if is_true(found, "Complete") or is_true(found, "Failed"):
            return True
        feasible = get_condition(found, "Feasible")
        return bool(found["spec"].get("dryRun")) and feasible is not None and feasible["status"] != "Unknown"


def failure_of(found: Object) -> str:
    """Why a Migration failed, or would; "" where it did not."""
    if is_true(found, "Failed"):
        said = get_condition(found, "Failed") or {}
        return f"{said.get('reason')}: {said.get('message')}"
    feasible = get_condition(found, "Feasible")
    if found["spec"].get("dryRun") and feasible is not None and feasible["status"] == "False":
        return f"{feasible.get('reason')}: {feasible.get('message')}"
    return ""
