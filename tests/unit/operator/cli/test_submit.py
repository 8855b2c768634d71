"""`sojourn submit`: which objects a manifest comes to, how its code travels, and what is refused beforehand."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sojourn.task.archive import ARCHIVE_FILE, archive_key, pack, unpack
from sojourn_operator.resources import CHECKPOINT_STORES, CONFIG_MAPS, TRAINING_JOBS

from .conftest import Sojourn, World

MANIFEST = """\
apiVersion: sojourn.dev/v1alpha1
kind: TrainingJob
metadata: {name: digits}
spec:
  task: {entrypoint: "tasks:build", code: {directory: {path: code}}}
  training: {globalBatchSize: 32, epochs: 2, seed: 1}
  checkpoint: {store: {name: runs}}
"""
STORE = """\
---
apiVersion: sojourn.dev/v1alpha1
kind: CheckpointStore
metadata: {name: runs}
spec: {uri: "%s"}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tasks.py").write_text("def build(): ...\n")
    (tmp_path / "job.yaml").write_text(MANIFEST)
    return tmp_path / "job.yaml"


def test_small_flat_code_travels_as_files(sojourn: Sojourn, world: World, job: Path) -> None:
    code, out, err = sojourn("submit", job)
    name = f"digits-code-{pack(job.parent / 'code').digest[7:15]}"
    assert code == 0
    assert out.splitlines() == [
        f"ConfigMap {name} created in namespace team",
        "TrainingJob digits created in namespace team",
    ]
    assert "sojourn watch digits -n team" in err
    made = world.cluster.get(CONFIG_MAPS, "team", name)
    assert made["data"] == {"tasks.py": "def build(): ...\n"}
    assert made["immutable"] is True
    created = world.cluster.get(TRAINING_JOBS, "team", "digits")
    assert created["spec"]["task"]["code"] == {"configMap": {"name": name}}
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["uid"] == created["metadata"]["uid"]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_what_was_made_can_be_printed(
    sojourn: Sojourn, world: World, job: Path, output: str, read: Callable[[str], Any]
) -> None:
    job.write_text(MANIFEST + STORE % "s3://bucket/sojourn")
    code, out, err = sojourn("submit", job, "-o", output)
    made = read(out)
    assert (code, err) == (0, "")
    assert [obj["kind"] for obj in made] == ["CheckpointStore", "ConfigMap", "TrainingJob"]
    assert all(obj["metadata"]["uid"] for obj in made)
    assert made[1]["metadata"]["ownerReferences"][0]["uid"] == made[2]["metadata"]["uid"]


def test_a_dry_run_can_be_printed_as_json(sojourn: Sojourn, world: World, job: Path) -> None:
    code, out, _ = sojourn("submit", job, "--dry-run", "-o", "json")
    assert (code, [obj["kind"] for obj in json.loads(out)]) == (0, ["ConfigMap", "TrainingJob"])
    assert held(world) == []


def test_progress_and_objects_are_not_printed_at_once(sojourn: Sojourn, world: World, job: Path) -> None:
    code, _, err = sojourn("submit", job, "--watch", "-o", "json")
    assert code == 2
    assert "choose one" in err
    assert held(world) == []


def test_code_in_folders_travels_as_an_archive(sojourn: Sojourn, world: World, job: Path, tmp_path: Path) -> None:
    (job.parent / "code" / "package").mkdir()
    (job.parent / "code" / "package" / "data.bin").write_bytes(b"\xff\xfe")
    assert sojourn("submit", job)[0] == 0
    (made,) = world.cluster.list(CONFIG_MAPS, "team").items
    data = base64.b64decode(made["binaryData"][ARCHIVE_FILE])
    archive = pack(job.parent / "code")
    assert list(made["binaryData"]) == [ARCHIVE_FILE]
    assert (unpack(data, archive.digest, tmp_path / "out") / "package" / "data.bin").read_bytes() == b"\xff\xfe"


@pytest.mark.parametrize("folder", [".", "package"])
def test_code_may_have_900_kib_in_folders_or_not(sojourn: Sojourn, world: World, job: Path, folder: str) -> None:
    (job.parent / "code" / folder).mkdir(exist_ok=True)
    (job.parent / "code" / folder / "table.bin").write_bytes(os.urandom(880 * 1024))
    assert sojourn("submit", job)[0] == 0
    (made,) = world.cluster.list(CONFIG_MAPS, "team").items
    # What the API server counts is the data before base64, and at most 1 MiB of it.
    assert sum(len(base64.b64decode(value)) for value in made["binaryData"].values()) < 1 << 20


def test_large_code_goes_into_the_object_store(
    sojourn: Sojourn, world: World, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sojourn.store.memory import MemoryStore

    (job.parent / "code" / "table.bin").write_bytes(os.urandom(1_000_000))
    job.write_text(MANIFEST + STORE % "s3://bucket/sojourn")
    opened: dict[str, MemoryStore] = {}
    monkeypatch.setattr(
        "sojourn.store.open.open_store", lambda uri, options: opened.setdefault(uri, MemoryStore("large"))
    )
    code, out, _ = sojourn("submit", job)
    assert code == 0
    assert out.splitlines()[0] == "CheckpointStore runs created in namespace team"
    archive = pack(job.parent / "code")
    assert opened["s3://bucket/sojourn"].read(archive_key(archive.digest)) == archive.data
    created = world.cluster.get(TRAINING_JOBS, "team", "digits")
    assert created["spec"]["task"]["code"] == {"archive": {"digest": archive.digest}}
    assert world.cluster.list(CONFIG_MAPS, "team").items == []


def test_large_code_for_a_volume_is_refused_with_what_to_do(sojourn: Sojourn, world: World, job: Path) -> None:
    (job.parent / "code" / "table.bin").write_bytes(os.urandom(1_000_000))
    store = yaml.safe_load(STORE.removeprefix("---\n") % "unused") | {"spec": {"pvc": {"claimName": "runs"}}}
    store["metadata"]["namespace"] = "team"
    world.cluster.create(store)
    code, _, err = sojourn("submit", job)
    assert code == 2
    assert "its store is a volume" in err
    assert "more than the 900 KiB" in err
    assert "Largest are table.bin (977 KiB), tasks.py (1 KiB)." in err
    assert ".sojournignore" in err
    assert world.cluster.get(TRAINING_JOBS, "team", "digits") is None


def test_a_dry_run_prints_and_makes_nothing(sojourn: Sojourn, world: World, job: Path) -> None:
    code, out, _ = sojourn("submit", job, "--dry-run", "--set", "spec.training.epochs=7")
    kinds = [document["kind"] for document in yaml.safe_load_all(out)]
    assert (code, kinds) == (0, ["ConfigMap", "TrainingJob"])
    assert "epochs: 7" in out
    assert world.cluster.list(TRAINING_JOBS, "team").items == []


def test_where_the_job_is_there_nothing_at_all_is_changed(sojourn: Sojourn, world: World, job: Path) -> None:
    job.write_text(MANIFEST + STORE % "s3://bucket/first")
    assert sojourn("submit", job)[0] == 0
    world.report("Suspended")
    before = held(world)
    (job.parent / "code" / "tasks.py").write_text("def build(): return None\n")
    job.write_text(MANIFEST + STORE % "s3://bucket/second")
    code, _, err = sojourn("submit", job, "--set", "spec.training.epochs=9")
    assert code == 4
    assert "TrainingJob digits is there already, and is Suspended" in err
    assert "sojourn resume digits" in err
    assert held(world) == before


def test_of_two_who_submit_at_once_the_slower_leaves_no_code_behind(world: World, job: Path) -> None:
    from sojourn.errors import Refused
    from sojourn_operator.client.submit import create, prepare

    submission = prepare(world.client, job)

    class Faster:
        """Another one makes the job after the look, and before ours."""

        def __getattr__(self, attribute: str) -> object:
            if attribute == "create" and world.cluster.list(CONFIG_MAPS, "team").items:
                world.job("Pending")
            return getattr(world.cluster, attribute)

    client = world.client
    with pytest.raises(Refused, match="is there already"):
        create(type(client)(Faster(), client.pods, "team", client.clock, client.sleep), submission)  # type: ignore[arg-type]
    assert world.cluster.list(CONFIG_MAPS, "team").items == []


def held(world: World) -> list[object]:
    kinds = (TRAINING_JOBS, CHECKPOINT_STORES, CONFIG_MAPS)
    return [obj for kind in kinds for obj in world.cluster.list(kind, "team").items]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  checkpoint: {store: {name: runs}}\n", "", "names no store"),
        ("metadata: {name: digits}", "metadata: {name: digits, namespace: other}", "is for namespace other, not team"),
        ("path: code", "path: cod", "does not exist"),
        ("globalBatchSize", "globalBatchsize", "globalBatchSize"),
    ],
)
def test_mistakes_are_found_before_anything_is_made(
    sojourn: Sojourn, world: World, job: Path, old: str, new: str, words: str
) -> None:
    job.write_text(MANIFEST.replace(old, new))
    code, _, err = sojourn("submit", job)
    assert code in (1, 2)
    assert words in err
    assert world.cluster.list(TRAINING_JOBS, "team").items == []
    assert world.cluster.list(CHECKPOINT_STORES, "team").items == []


def test_a_config_map_that_goes_with_an_earlier_job_is_made_again(world: World, job: Path) -> None:
    from sojourn_operator.client.submit import create, prepare

    submission = prepare(world.client, job)
    assert submission.code is not None
    name = submission.code["metadata"]["name"]

    class Gone:
        """The garbage collector strikes between the creation of the job and the change of the ConfigMap's owner."""

        def __getattr__(self, attribute: str) -> object:
            if attribute == "patch":
                world.cluster.delete(CONFIG_MAPS, "team", name)
            return getattr(world.cluster, attribute)

    client = world.client
    create(type(client)(Gone(), client.pods, "team", client.clock, client.sleep), submission)  # type: ignore[arg-type]
    assert world.cluster.get(CONFIG_MAPS, "team", name)["metadata"]["ownerReferences"]
