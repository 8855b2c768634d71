"""From a manifest to what has to be created for it: the plan is pure, `create` carries it out.

Code of a folder travels in a ConfigMap where it is small, and into the job's object store where it is not.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sojourn.api import TrainingJob
from sojourn.client.jobs import load_submission
from sojourn.errors import InvalidInput, Refused
from sojourn.task.archive import ARCHIVE_FILE, Archive, archive_key, files_of, pack
from sojourn_operator.client.job import Job
from sojourn_operator.client.namespace import Namespace
from sojourn_operator.resources import ALL, CHECKPOINT_STORES, CONFIG_MAPS, TRAINING_JOBS
from sojourn_operator.runtime.objects import Object
from sojourn_operator.runtime.port import AlreadyExists, Missing

CONFIG_MAP_BYTES: Final = 900 * 1024
"""A ConfigMap holds 1 MiB in all, counted before base64."""
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")


@dataclass(frozen=True, slots=True)
class Upload:
    """An archive that has to be in an object store before the job starts."""

    uri: str
    options: Mapping[str, str]
    archive: Archive


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything to create. `others` come first; `code` belongs to the job."""

    job: Mapping[str, Any]
    others: Sequence[Mapping[str, Any]] = ()
    code: Mapping[str, Any] | None = None
    upload: Upload | None = None

    @property
    def objects(self) -> list[Mapping[str, Any]]:
        """The objects in the order of their creation."""
        return [*self.others, *([self.code] if self.code else []), self.job]


def prepare(client: Namespace, source: str | Path, assign: Sequence[str] = ()) -> Submission:
    """What the one TrainingJob of a file comes to, with the other objects of the file. Nothing is written.

    Raises:
        InvalidInput: the manifest is not valid, or its code cannot be brought to the cluster.
        NotFound: there is no such file or folder.
    """
    job, others, base = load_submission(source, assign)
    manifest = _placed(job.to_manifest(), client.namespace)
    submission = Submission(manifest, tuple(_placed(other.to_manifest(), client.namespace) for other in others))
    code = job.spec.task.code
    if job.spec.checkpoint.store is None:
        raise InvalidInput(
            f"TrainingJob {job.name} names no store",
            hint="Set spec.checkpoint.store to a CheckpointStore or an address.",
        )
    if code is None or code.directory is None:
        return submission
    return _with_code(client, submission, job, pack(base / code.directory.path))


def create(client: Namespace, submission: Submission) -> Job:
    """Create everything, the job last; nothing at all where the job cannot be made.

    Raises:
        Refused: a job of that name is there.
        ClusterError: the API server refuses an object.
    """
    name = submission.job["metadata"]["name"]
    if not client.port.name_is_free(submission.job):
        raise _taken(client, name)
    if submission.upload is not None:
        _upload(submission.upload)
    for obj in submission.others:
        client.port.apply(obj)
    code_is_new = submission.code is not None and _create_once(client, submission.code)
    try:
        made = client.port.create(submission.job)
    except AlreadyExists as error:
        # Somebody was faster by a moment. The code is theirs if it was there before.
        if submission.code is not None and code_is_new:
            client.port.delete(CONFIG_MAPS, client.namespace, submission.code["metadata"]["name"])
        raise _taken(client, name) from error
    if submission.code is not None:
        _give_to(client, submission.code, made)
    return Job(client, name)


def stored(client: Namespace, obj: Object) -> Object:
    """An object of a submission as the cluster has it now. Raises NotFound."""
    resource = next(it for it in ALL if (it.api_version, it.kind) == (obj["apiVersion"], obj["kind"]))
    return client.need(resource, obj["metadata"]["name"])


def _taken(client: Namespace, name: str) -> Refused:
    there = client.need(TRAINING_JOBS, name)
    return Refused(
        f"TrainingJob {name} is there already, and is {there.get('status', {}).get('phase', 'Pending')}",
        hint=f"`sojourn resume {name}` goes on with a suspended one; to change one, kubectl apply -f; "
        f"to begin anew, kubectl delete trainingjob {name}, or choose another name.",
    )


def config_map(job: str, namespace: str, archive: Archive) -> dict[str, Any] | None:
    """A ConfigMap with the code: its files, or the archive where they lie in folders; None if it is too large."""
    files = files_of(archive)
    flat = all(_KEY.fullmatch(name) for name in files) and ARCHIVE_FILE not in files
    size = sum(len(data) for data in files.values()) if flat else len(archive.data)
    if size > CONFIG_MAP_BYTES:
        return None
    made: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": f"{job}-code-{archive.digest.removeprefix('blake3:')[:8]}",
            "namespace": namespace,
            "labels": {"sojourn.dev/job": job},
        },
        "immutable": True,
    }
    if not flat:
        return {**made, "binaryData": {ARCHIVE_FILE: base64.b64encode(archive.data).decode()}}
    texts, binaries = {}, {}
    for name, data in files.items():
        try:
            texts[name] = data.decode()
        except UnicodeDecodeError:
            binaries[name] = base64.b64encode(data).decode()
    return {**made, **({"data": texts} if texts else {}), **({"binaryData": binaries} if binaries else {})}


def _with_code(client: Namespace, submission: Submission, job: TrainingJob, archive: Archive) -> Submission:
    made = config_map(job.name, client.namespace, archive)
    if made is not None:
        code = {"configMap": {"name": made["metadata"]["name"]}}
        return Submission(_coded(submission.job, code), submission.others, made)
    store = _object_store(client, submission, job, archive)
    code = {"archive": {"digest": archive.digest}}
    upload = Upload(store["uri"], _options(store), archive)
    return Submission(_coded(submission.job, code), submission.others, None, upload)


def _object_store(client: Namespace, submission: Submission, job: TrainingJob, archive: Archive) -> Mapping[str, Any]:
    """The spec of the job's store, where this machine can write to it."""
    reference = job.spec.checkpoint.store
    assert reference is not None
    found: Mapping[str, Any] | None = {"uri": reference.uri} if reference.uri else None
    if found is None:
        named = [
            other["spec"]
            for other in submission.others
            if other["kind"] == CHECKPOINT_STORES.kind and other["metadata"]["name"] == reference.name
        ]
        found = named[0] if named else client.need(CHECKPOINT_STORES, str(reference.name))["spec"]
    if not str(found.get("uri", "")).startswith(("s3://", "gs://", "az://")):
        raise InvalidInput(
            f"the code of {job.name} is {_kib(len(archive.data))}, more than the {_kib(CONFIG_MAP_BYTES)} that travel "
            "in a ConfigMap, and its store is a volume, which cannot be written to from here",
            hint=f"Largest are {_largest(archive)}. Leave out what is no code (.sojournignore), put the code into the "
            "image (spec.task.code.image: {}), or use a store with an s3://, gs:// or az:// address.",
        )
    return found


def _largest(archive: Archive) -> str:
    sizes = sorted(((len(data), name) for name, data in files_of(archive).items()), reverse=True)
    return ", ".join(f"{name} ({_kib(size)})" for size, name in sizes[:3])


def _kib(size: int) -> str:
    return f"{-(-size // 1024):,} KiB"


def _options(store: Mapping[str, Any]) -> dict[str, str]:
    endpoint = "base_url" if store["uri"].startswith("gs://") else "endpoint"
    options = {"region": store.get("region"), endpoint: store.get("endpoint")}
    return {name: value for name, value in options.items() if value}


def _upload(upload: Upload) -> None:
    from sojourn.store.open import open_store

    open_store(upload.uri, upload.options).put(archive_key(upload.archive.digest), upload.archive.data)


def _create_once(client: Namespace, obj: Object) -> bool:
    """Whether it was made now. Its name is the digest of what is in it, so one that is there is the same."""
    try:
        client.port.create(obj)
    except AlreadyExists:
        return False
    return True


def _give_to(client: Namespace, code: Object, job: Object) -> None:
    """The ConfigMap goes when the job goes. It came first, so that no pod ever waits for it."""
    owner = {key: job[key] for key in ("apiVersion", "kind")} | {key: job["metadata"][key] for key in ("name", "uid")}
    patch = {"metadata": {"ownerReferences": [owner]}}
    try:
        client.port.patch(CONFIG_MAPS, client.namespace, code["metadata"]["name"], patch)
    except Missing:
        # It belonged to an earlier job of this name, and went with it just now.
        client.port.create({**code, "metadata": {**code["metadata"], **patch["metadata"]}})


def _coded(job: Mapping[str, Any], code: Mapping[str, Any]) -> dict[str, Any]:
    spec = job["spec"]
    return {**job, "spec": {**spec, "task": {**spec["task"], "code": code}}}


def _placed(manifest: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """In the namespace; a manifest that names another one is refused, as kubectl does."""
    metadata = {key: value for key, value in manifest["metadata"].items() if value not in ({}, [], None)}
    written = metadata.get("namespace")
    if written and written != namespace:
        raise InvalidInput(
            f"{manifest['kind']} {metadata['name']} is for namespace {written}, not {namespace}",
            hint=f"Call it with --namespace {written}, or leave metadata.namespace out.",
        )
    return {**manifest, "metadata": {**metadata, "namespace": namespace}}
