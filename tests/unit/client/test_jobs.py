"""From a manifest in any form to the one job to run."""

import io
import json

import pytest

from sojourn.api import TrainingJob
from sojourn.client.jobs import load_job
from sojourn.client.overrides import override
from sojourn.errors import InvalidInput, NotFound

JOB = """
apiVersion: sojourn.dev/v1alpha1
kind: TrainingJob
metadata: {name: digits}
spec:
  task: {entrypoint: "task:build"}
  data: {source: {builtin: {name: digits}}}
  training: {globalBatchSize: 64, epochs: 2}
"""
STORE = """
---
apiVersion: sojourn.dev/v1alpha1
kind: CheckpointStore
metadata: {name: runs}
spec: %s
"""
NAMING = JOB + "  checkpoint: {store: {name: runs}}\n"


@pytest.fixture
def job_file(tmp_path):
    path = tmp_path / "folder" / "job.yaml"
    path.parent.mkdir()

    def write(text):
        path.write_text(text)
        return path

    return write


def test_a_file_gives_its_folder_as_base(job_file):
    path = job_file(JOB)
    for source in (path, str(path)):
        found = load_job(source)
        assert (found.job.name, found.base, found.store) == ("digits", path.parent, None)


def test_standard_input_a_mapping_and_an_object(monkeypatch, job_file, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(JOB))
    read = load_job("-")
    assert load_job(read.job.to_manifest()) == load_job(read.job) == read
    assert isinstance(read.job, TrainingJob)
    assert read.base == tmp_path


def test_two_jobs_are_refused_by_name(job_file):
    with pytest.raises(InvalidInput, match="has 2: digits, digits"):
        load_job(job_file(JOB + "---" + JOB))


def test_no_such_file(tmp_path):
    with pytest.raises(NotFound):
        load_job(tmp_path / "none.yaml")


def test_the_store_by_address(job_file):
    assert load_job(job_file(JOB + "  checkpoint: {store: {uri: file:///data/runs}}\n")).store == "file:///data/runs"


def test_the_store_by_a_name_in_the_same_file(job_file):
    spec = "{uri: s3://bucket/runs, region: eu-1, endpoint: https://minio.example:9000}"
    found = load_job(job_file(NAMING + STORE % spec))
    assert found.store == "s3://bucket/runs"
    assert found.environment == {"AWS_REGION": "eu-1", "AWS_ENDPOINT": "https://minio.example:9000"}


@pytest.mark.parametrize(
    ("more", "message"),
    [("", "'runs', which is not in this file"), (STORE % "{pvc: {claimName: data}}", "is a volume of a cluster")],
)
def test_a_store_that_only_a_cluster_knows(job_file, more, message):
    path = job_file(NAMING + more)
    with pytest.raises(InvalidInput, match=message):
        load_job(path)
    assert load_job(path, look_for_store=False).store is None


def test_set_changes_fields(job_file):
    path = job_file(JOB)
    job = load_job(path, ["spec.training.epochs=null", "spec.training.steps=7", "spec.export.formats=[Keras]"]).job
    assert (job.spec.training.epochs, job.spec.training.steps) == (None, 7)
    assert job.spec.export is not None
    assert job.spec.export.formats == ("Keras",)


def test_set_that_breaks_the_manifest_names_the_field_and_no_line(job_file):
    with pytest.raises(InvalidInput) as raised:
        load_job(job_file(JOB), ["spec.training.epoch=3"])
    assert "spec.training.epoch: unknown field" in raised.value.message
    assert "Did you mean epochs?" in raised.value.message
    assert ":1:" not in raised.value.message


@pytest.mark.parametrize("assignment", ["", "spec", "=3", "spec..x=3", "a=[1", "metadata.name.first=x"])
def test_what_sets_nothing_is_refused(assignment):
    with pytest.raises(InvalidInput) as raised:
        override({"metadata": {"name": "digits"}}, [assignment])
    assert "--set spec.training.epochs=3" in raised.value.hint


def test_override_leaves_the_original_alone():
    manifest = {"spec": {"a": 1}}
    assert override(manifest, ["spec.a=2", "spec.b.c='3'", "spec.d=x=y"]) == {
        "spec": {"a": 2, "b": {"c": "3"}, "d": "x=y"}
    }
    assert json.dumps(manifest) == '{"spec": {"a": 1}}'


@pytest.mark.parametrize(
    ("reference", "address"),
    [("name: runs", "s3://bucket/runs"), ('uri: "file:///elsewhere"', "file:///elsewhere"), ("name: unknown", None)],
)
def test_the_store_that_a_run_starts_from_may_be_another_one(job_file, reference, address):
    restoring = JOB + f"  restoreFrom: {{checkpoint: digits@best, store: {{{reference}}}}}\n"
    found = load_job(job_file(restoring + STORE % "{uri: 's3://bucket/runs'}"))
    assert (found.store, found.restore_store) == (None, address)
