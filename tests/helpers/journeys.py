"""What pods would do in a migration, in small: jobs that train and movers that copy, on logs that both sides see.

The logs obey the rules of the real ones: one fence, compare-and-append; no commit of an older term or after a fence.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from helpers.faults import Faults
from helpers.operator import FakeClock, Harness, memory_cluster
from sojourn_operator.context import Context
from sojourn_operator.engines.names import RUN_ID
from sojourn_operator.migration.controller import MigrationController
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    CHECKPOINT_TRANSFERS,
    MIGRATIONS,
    REMOTE_CLUSTERS,
    TRAINING_JOBS,
)
from sojourn_operator.runtime.clock import rfc3339
from sojourn_operator.runtime.conditions import condition, get_condition, with_conditions
from sojourn_operator.runtime.controller import Controller, Watch
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.objects import Key, Object
from sojourn_operator.runtime.watching import itself


@dataclass
class Run:
    """One run's log."""

    run_id: str
    store: str
    name: str
    term: int = 0
    step: int = 0
    parent: Run | None = None
    fenced_by: str = ""
    child: Run | None = None

    @property
    def manifest(self) -> str:
        return f"blake3:{self.step:064x}"

    def commit(self, term: int, step: int) -> bool:
        if self.fenced_by or term != self.term:
            return False
        self.step = step
        return True

    def fence(self, migration: str, term: int, manifest: str) -> str:
        """ "" if the fence holds, else why not."""
        if self.fenced_by:
            return "" if self.fenced_by == migration else "Fenced"
        if (term, manifest) != (self.term, self.manifest):
            return "MovedOn"
        self.fenced_by = migration
        return ""


@dataclass
class Logs:
    """All runs of all stores. A store's name includes its cluster, unless both clusters share it."""

    runs: list[Run] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    movers_pause: bool = False
    pods_pause: bool = False
    pods_linger: bool = False
    _made: int = 0

    def new(self, store: str, name: str, parent: Run | None = None) -> Run:
        """A run that is not yet in its store."""
        self._made += 1
        return Run(str(UUID(int=self._made)), store, name, parent=parent)

    def begin(self, store: str, name: str) -> Run:
        run = self.new(store, name)
        self.runs.append(run)
        return run

    def newest(self, store: str, name: str) -> Run | None:
        """The newest run of a name that is not fenced, else the newest."""
        found = [run for run in self.runs if (run.store, run.name) == (store, name)]
        return next((run for run in reversed(found) if not run.fenced_by), found[-1] if found else None)

    def by_id(self, run_id: str) -> Run:
        return next(run for run in self.runs if run.run_id == run_id)


class FakeJobs:
    """TrainingJobs with their pods: a job opens the newest run of its name, raises its term, and trains when told."""

    name = "fakejobs"

    def __init__(self, context: Context, cluster: str, logs: Logs) -> None:
        self._context, self._where, self._logs = context, cluster, logs
        self.watches = (Watch(TRAINING_JOBS, itself),)

    def reconcile(self, key: Key) -> float | None:
        job = self._context.cluster.cached(TRAINING_JOBS).get(*key)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return None
        status = dict(job.get("status", {}))
        feasible = condition("Feasible", True, "Checked")
        store = f"{self._where}/{job['spec']['checkpoint']['store']['name']}"
        refused = get_condition(job, "OwnedElsewhere") or {}
        unchanged = refused.get("observedGeneration") == job["metadata"]["generation"]
        if status.get("phase") == "OwnedElsewhere" and (job["spec"].get("suspend") or unchanged):
            pass  # it asks the log again when the spec has changed, and not while it is suspended
        elif job["spec"].get("suspend"):
            lingers = self._logs.pods_linger and status.get("phase") in ("Running", "Suspending")
            status |= {"phase": "Suspending" if lingers else "Suspended"}
        elif job["spec"].get("standby"):
            status |= {"phase": "Pending" if self._logs.pods_pause else "Standby"}
        elif status.get("phase") != "Running":
            name = job["metadata"]["name"]
            known = job["metadata"].get("annotations", {}).get(RUN_ID) or status.get("runId")
            found = self._logs.by_id(known) if known else self._logs.newest(store, name)
            run = found or self._logs.begin(store, name)
            if run.fenced_by:
                status["phase"] = "OwnedElsewhere"
            else:
                run.term += 1
                status |= {"phase": "Running", "runId": run.run_id, "term": run.term, "step": run.step}
        status["observedGeneration"] = job["metadata"]["generation"]
        owned = condition("OwnedElsewhere", status["phase"] == "OwnedElsewhere", "Fenced")
        status["conditions"] = with_conditions(
            status.get("conditions", ()), [feasible, owned], job["metadata"]["generation"], self._context.clock.now()
        )
        if status != job.get("status"):
            self._context.cluster.port.patch_status(TRAINING_JOBS, *key, {"status": status})
        return None


class FakeMovers:
    """CheckpointTransfers with their mover pods. The sender's certificate says which run it offers."""

    name = "fakemovers"

    def __init__(self, context: Context, cluster: str, logs: Logs) -> None:
        self._context, self._where, self._logs = context, cluster, logs
        self.watches = (Watch(CHECKPOINT_TRANSFERS, itself),)

    def reconcile(self, key: Key) -> float | None:
        transfer = self._context.cluster.cached(CHECKPOINT_TRANSFERS).get(*key)
        if transfer is None or "deletionTimestamp" in transfer["metadata"] or self._logs.movers_pause:
            return 1.0 if transfer is not None else None
        act = self._send if transfer["spec"]["role"] == "Send" else self._receive
        patch = act(transfer["spec"], transfer.get("status", {}))
        if patch:
            self._context.cluster.port.patch_status(CHECKPOINT_TRANSFERS, *key, {"status": patch})
        return None

    def _send(self, spec: Object, status: Object) -> dict[str, Any]:
        source = spec["source"]
        store = f"{self._where}/{source['storeRef']['name']}"
        by_id = len(source["run"]) > 36
        run = self._logs.by_id(source["run"][-36:]) if by_id else self._logs.newest(store, source["run"])
        assert run is not None
        patch: dict[str, Any] = {}
        if "certificate" not in status:
            patch = {"phase": "Waiting", "certificate": _certificate(run.run_id), "address": "10.0.0.1", "port": 4433}
            patch["run"] = {"runId": run.run_id, "name": run.name}
        if "fence" not in spec:
            return {**patch, "refused": None} if "refused" in status else patch
        if "fenced" in status or "refused" in status:
            return patch
        return {**patch, **self._fence(run, spec["fence"])}

    def _fence(self, run: Run, fence: Object) -> dict[str, Any]:
        if "fence" in fence.get("takeover", {}) and run.fenced_by != fence["migrationId"]:
            run.fenced_by = ""
        refused = run.fence(fence["migrationId"], fence["term"], fence["manifest"])
        self._logs.told.append(f"fence of {run.name}: {refused or 'holds'}")
        if refused:
            return {"refused": {"migrationId": fence["migrationId"], "reason": refused, "message": "as the log says"}}
        entry = {"entry": 7, "digest": f"blake3:{7:064x}", "term": run.term, "step": run.step, "manifest": run.manifest}
        return {"fenced": {"migrationId": fence["migrationId"], **entry}}

    def _receive(self, spec: Object, status: Object) -> dict[str, Any]:
        if "certificate" not in status:
            return {"phase": "Waiting", "certificate": _certificate("receiver")}
        if "address" not in spec.get("peer", {}):
            return {}
        source = self._logs.by_id(_told_by(spec["peer"]["certificate"]))
        target = spec["target"]
        store = f"{self._where}/{target['storeRef']['name']}"
        if source.child is None:
            source.child = self._logs.new(store, target["name"], source)
        child = source.child
        if status.get("verified", {}).get("round") != spec.get("round", 1):
            told = {"term": source.term, "step": source.step, "manifest": source.manifest}
            return {
                "phase": "Verified",
                "verified": {"round": spec.get("round", 1), **told, "copiedBytes": 1000 * source.step},
                "child": {"runId": child.run_id, "store": store, "run": f"{target['namespace']}/{child.name}"},
            }
        handed_over = "fence" in spec and source.fenced_by == spec["fence"]["migrationId"]
        if "began" in status or not (spec["mode"] == "Copy" or handed_over):
            return {}
        if child not in self._logs.runs:
            child.step = status["verified"]["step"]
            self._logs.runs.append(child)
        return {"phase": "Succeeded", "began": {"runId": child.run_id, "store": store, "step": child.step}}


class Twin:
    """Two clusters, east and west, each with an operator, jobs and movers; the faults are those of east's operator."""

    def __init__(self) -> None:
        self.clock, self.logs = FakeClock(), Logs()
        worlds = {name: memory_cluster(self.clock) for name in ("east", "west")}
        self.east, self.west = (
            Harness(
                [MigrationController],
                [self._fake(FakeJobs, name), self._fake(FakeMovers, name)],
                clock=self.clock,
                world=worlds[name],
                remotes={other: worlds[other]},
            )
            for name, other in (("east", "west"), ("west", "east"))
        )
        for harness, other in ((self.east, "west"), (self.west, "east")):
            self._prepare(harness, other)

    @property
    def faults(self) -> Faults:
        return self.east.faults

    @property
    def worlds(self) -> tuple[MemoryCluster, MemoryCluster]:
        return self.east.world, self.west.world

    def settle(self) -> None:
        """Let both clusters work until neither has anything to do."""
        for _ in range(200):
            before = [world.list(MIGRATIONS).resource_version for world in self.worlds]
            self.east.settle()
            self.west.settle()
            if [world.list(MIGRATIONS).resource_version for world in self.worlds] == before:
                return
        raise AssertionError(f"it never settles; last writes: {self.faults.writes[-6:]}")

    def advance(self, seconds: float) -> None:
        """Let time pass at both, in small steps."""
        for _ in range(max(1, round(seconds / 5))):
            self.east.advance(min(seconds, 5.0))
            self.settle()

    def job(self, harness: Harness, name: str = "digits", namespace: str = "team", **spec: Any) -> None:
        """Make a TrainingJob as a user."""
        task = {"task": {"entrypoint": "package.module:build"}}
        training = {"training": {"epochs": 10, "globalBatchSize": 32}, "checkpoint": {"store": {"name": "runs"}}}
        harness.create(
            {
                "apiVersion": TRAINING_JOBS.api_version,
                "kind": "TrainingJob",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {**task, **training, **spec},
            }
        )

    def train(self, harness: Harness, steps: int, name: str = "digits", namespace: str = "team") -> bool:
        """Let a job's pods train and commit; False if the log refuses them, and then they end as the log says."""
        job = harness.one(TRAINING_JOBS, namespace, name)
        status = job["status"]
        run = self.logs.by_id(status["runId"])
        if status["phase"] != "Running" or not run.commit(status["term"], run.step + steps):
            return False
        commit = {
            "step": run.step,
            "epoch": 0,
            "manifest": run.manifest,
            "time": rfc3339(self.clock.now()),
            "bytes": 10,
        }
        harness.patch_status(TRAINING_JOBS, namespace, name, step=run.step, lastCommit=commit)
        return True

    def migrate(self, harness: Harness, name: str = "go", **spec: Any) -> None:
        """Make a Migration as a user; Cold and with resume unless said otherwise (None leaves a field out)."""
        wanted: dict[str, Any] = {"mode": "Cold", "source": {"trainingJob": "digits"}, "resume": {}, **spec}
        harness.create(
            {
                "apiVersion": MIGRATIONS.api_version,
                "kind": "Migration",
                "metadata": {"name": name, "namespace": "team"},
                "spec": {name: part for name, part in wanted.items() if part is not None},
            }
        )

    def migration(self, harness: Harness, name: str = "go") -> Object:
        return harness.one(MIGRATIONS, "team", name)

    def _fake(self, kind: type[FakeJobs] | type[FakeMovers], cluster: str) -> Callable[[Context], Controller]:
        return lambda context: kind(context, cluster, self.logs)

    def _prepare(self, harness: Harness, other: str) -> None:
        for namespace in ("team", "other"):
            self.store(harness, namespace)
        harness.create(
            {
                "apiVersion": REMOTE_CLUSTERS.api_version,
                "kind": "RemoteCluster",
                "metadata": {"name": other},
                "spec": {"kubeconfigSecretRef": {"name": other}, "allowedNamespaces": ["team"]},
            }
        )
        self.remote_is(harness, other, ready=True)

    def store(self, harness: Harness, namespace: str, name: str = "runs", **status: Any) -> None:
        """A CheckpointStore that was probed."""
        harness.create(
            {
                "apiVersion": CHECKPOINT_STORES.api_version,
                "kind": "CheckpointStore",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"pvc": {"claimName": "runs"}},
            }
        )
        ready = with_conditions((), [condition("Ready", True, "Probed")], 1, self.clock.now())
        harness.patch_status(CHECKPOINT_STORES, namespace, name, conditions=ready, **status)

    def remote_is(self, harness: Harness, other: str, *, ready: bool) -> None:
        """What the controller of RemoteClusters would say."""
        conditions = with_conditions(
            (), [condition("Ready", ready, "Ready" if ready else "Unreachable")], 1, self.clock.now()
        )
        harness.patch_status(REMOTE_CLUSTERS, "", other, conditions=conditions)


def _certificate(words: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{b64encode(words.encode()).decode()}\n-----END CERTIFICATE-----\n"


def _told_by(certificate: str) -> str:
    return b64decode(certificate.splitlines()[1]).decode()
