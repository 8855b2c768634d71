"""The objects that a migration wants at both ends (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.migration import names
from sojourn_operator.migration.mapping import Json, mapped_pod, target_job_spec
from sojourn_operator.migration.observe import Seen, server_name, target_name
from sojourn_operator.resources import CHECKPOINT_TRANSFERS, MODEL_SERVERS, TRAINING_JOBS
from sojourn_operator.runtime.objects import Object, Resource

# What a job at the target that is used again takes over from the source's; its own names stay as they are.
_CARRIED_OVER = ("training", "export", "strategy", "workers", "backoffLimit")
_CONNECTION = ("listener", "exposure", "relay", "bandwidthLimit")


@dataclass(frozen=True, slots=True)
class Cargo:
    """What is carried: a run in a store of the source's namespace.

    Args:
        what: as a CheckpointTransfer says it: Run, Checkpoint or Export.
        namespace: in the run's folder, "" for the object's own.
        size: in bytes, as far as it is known; 0 if it is not.
    """

    what: str
    store: Mapping[str, Any]
    run: str
    namespace: str = ""
    checkpoint: str = ""
    export: int | None = None
    size: int = 0


def cargo(seen: Seen) -> Cargo | None:
    """What is carried, None while there is no run of it yet."""
    source = seen.spec["source"]
    if "trainingJob" in source:
        return _cargo_of_job(seen.source.job)
    if "checkpoint" in source:
        return _cargo_of_checkpoint(seen.source.checkpoint)
    if "export" in source:
        export = source["export"]
        namespace, run = _in_store(export["run"])
        return Cargo("Export", export["storeRef"], run, namespace, export=export.get("version"))
    namespace, run = _in_store(source["run"]["name"])
    return Cargo("Run", source["run"]["storeRef"], run, namespace)


def target_store(seen: Seen) -> Mapping[str, Any] | None:
    """The store at the target, as a reference."""
    given: Mapping[str, Any] | None = seen.spec.get("target", {}).get("storeRef")
    if given:
        return given
    found = cargo(seen)
    if found is None:
        return None
    name = found.store.get("name")
    return {"name": _mapping(seen, "stores").get(name, name)} if name else found.store


def send(seen: Seen, carried: Cargo) -> Json:
    """The CheckpointTransfer at the source."""
    source = {
        "storeRef": dict(carried.store),
        "run": carried.run,
        "namespace": carried.namespace or seen.source.namespace,
        **({"checkpoint": carried.checkpoint} if carried.checkpoint else {}),
        **({"export": carried.export} if carried.export is not None else {}),
    }
    spec = {**_transfer(seen, carried), "role": "Send", "source": source}
    return _object(seen, CHECKPOINT_TRANSFERS, seen.source.namespace, names.send_name(seen.migration), spec)


def receive(seen: Seen, carried: Cargo) -> Json:
    """The CheckpointTransfer at the target."""
    target = {
        "storeRef": dict(target_store(seen) or {}),
        "namespace": seen.target.namespace,
        "name": target_name(seen),
    }
    spec = {**_transfer(seen, carried), "role": "Receive", "target": target}
    return _object(seen, CHECKPOINT_TRANSFERS, seen.target.namespace, names.receive_name(seen.migration), spec)


def job(seen: Seen) -> Json | None:
    """The TrainingJob that goes on at the target, suspended; None if there is no job to make it from."""
    original = seen.source.job
    if original is None:
        return None
    spec = target_job_spec(original["spec"], seen.spec.get("mapping", {}), seen.spec.get("resume", {}))
    spec["checkpoint"]["store"] = dict(target_store(seen) or {})
    code, archive = spec.get("task", {}).get("code", {}), original.get("status", {}).get("code")
    if "configMap" in code and archive and "configMaps" not in seen.spec.get("mapping", {}):
        # The ConfigMap stays behind, but the run keeps its code as an archive, and brings it along.
        spec["task"]["code"] = {"archive": {"digest": archive}}
    made = _object(seen, TRAINING_JOBS, seen.target.namespace, target_name(seen), spec)
    made["metadata"]["labels"] = {**_labels(seen, original), **made["metadata"]["labels"]}
    return made


def changes_of_reused(seen: Seen) -> Json:
    """The merge patch of spec for a job that is at the target already, from an earlier stay of the run."""
    wanted, there = job(seen), seen.target.job
    if wanted is None or there is None:
        resume = seen.spec.get("resume", {})
        return {"workers": {"replicas": resume["workers"]}} if "workers" in resume else {}
    return {
        name: wanted["spec"][name]
        for name in _CARRIED_OVER
        if name in wanted["spec"] and wanted["spec"][name] != there["spec"].get(name)
    }


def server(seen: Seen, carried: Cargo) -> Json:
    """The ModelServer at the target."""
    template = {name: value for name, value in seen.spec["serve"].items() if name != "name"}
    if "podTemplate" in template:
        template["podTemplate"] = mapped_pod(template["podTemplate"], seen.spec.get("mapping", {}))
    model = {
        "storeRef": dict(target_store(seen) or {}),
        "run": target_name(seen),
        "namespace": seen.target.namespace,
        **({"version": carried.export} if carried.export is not None else {}),
    }
    return _object(seen, MODEL_SERVERS, seen.target.namespace, server_name(seen), {**template, "model": model})


def peer_of_receiver(seen: Seen) -> Json:
    """spec.peer of the receiving end, as far as the sending end has told."""
    status = _status(seen.source.transfer)
    if "relay" in seen.spec:
        return {"offer": status["offer"]} if "offer" in status else {}
    return _peer(status, listens=seen.spec.get("listener", "Source") == "Source")


def peer_of_sender(seen: Seen) -> Json:
    """spec.peer of the sending end, as far as the receiving end has told."""
    if "relay" in seen.spec:
        return {}
    return _peer(_status(seen.target.transfer), listens=seen.spec.get("listener", "Source") == "Target")


def recipient(seen: Seen) -> Json:
    """Who goes on, for the fence."""
    child = _status(seen.target.transfer).get("child", {})
    named = {name: child[name] for name in ("runId", "run", "store") if name in child}
    return {**named, "cluster": seen.target.cluster or seen.here}


def _peer(status: Mapping[str, Any], *, listens: bool) -> Json:
    """Nothing before all of it is known: a peer is written whole."""
    wanted = ("certificate", "address", "port") if listens else ("certificate",)
    return {name: status[name] for name in wanted} if all(name in status for name in wanted) else {}


def _cargo_of_job(source: Object | None) -> Cargo | None:
    status = source.get("status", {}) if source is not None else {}
    if source is None or not status.get("runId"):
        return None
    store = status.get("store") or source["spec"].get("checkpoint", {}).get("store")
    name = source["metadata"]["name"]
    namespace, run = _in_store(status.get("prefix") or f"{source['metadata']['namespace']}/{name}-{status['runId']}")
    size = int(status.get("lastCommit", {}).get("bytes", 0))
    return Cargo("Run", store, run, namespace, size=size) if store else None


def _cargo_of_checkpoint(checkpoint: Object | None) -> Cargo | None:
    if checkpoint is None:
        return None
    spec = checkpoint["spec"]
    run = spec["run"]
    folder = run.get("prefix") or f"{checkpoint['metadata']['namespace']}/{run['name']}-{run['runId']}"
    namespace, name = _in_store(folder)
    size = int(spec.get("bytes", 0))
    return Cargo("Checkpoint", spec["storeRef"], name, namespace, checkpoint=str(spec["step"]), size=size)


def _in_store(run: str) -> tuple[str, str]:
    """Namespace and name of a run that is given by its folder; of one given by its name the namespace is ""."""
    namespace, _, name = run.rstrip("/").rpartition("/")
    return namespace.rpartition("/")[2], name


def _transfer(seen: Seen, carried: Cargo) -> Json:
    connection = {name: seen.spec[name] for name in _CONNECTION if name in seen.spec}
    return {**connection, "mode": "Move" if seen.spec["mode"] == "Cold" else "Copy", "what": carried.what}


def _object(seen: Seen, resource: Resource, namespace: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": names.labels(seen.migration)},
        "spec": spec,
    }


def _labels(seen: Seen, original: Object) -> dict[str, str]:
    labels = {
        name: value
        for name, value in original["metadata"].get("labels", {}).items()
        if name not in (names.MIGRATION, names.MIGRATION_UID)
    }
    queue = labels.get(names.QUEUE_LABEL, "")
    wanted = seen.spec.get("resume", {}).get("queue") or _mapping(seen, "queues").get(queue, queue)
    return {**labels, names.QUEUE_LABEL: wanted} if wanted else labels


def _mapping(seen: Seen, kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = seen.spec.get("mapping", {}).get(kind, {})
    return found


def _status(obj: Object | None) -> Mapping[str, Any]:
    status: Mapping[str, Any] = obj.get("status", {}) if obj is not None else {}
    return status
