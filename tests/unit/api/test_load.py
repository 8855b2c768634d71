"""Manifests are read from files and standard input, and everything wrong with one is said at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.manifests import JOB, REMOVED, STORE, changed
from sojourn.api import CheckpointStore, InvalidManifest, Problem, TrainingJob, load_manifests, parse
from sojourn.errors import InvalidInput, NotFound

MANIFESTS = Path(__file__).parents[2] / "golden/manifests"


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        parse(text)
    except InvalidManifest as refused:
        return refused.problems
    return ()


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_messages(path: Path, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(InvalidManifest) as refused:
        parse(path.read_text(), path.name)
    assert refused.value.exit_code == 2
    assert [problem.at for problem in refused.value.problems] == sorted(p.at for p in refused.value.problems)
    golden(f"manifests/{path.stem}.txt", f"{refused.value}\n")


def test_several_documents_and_lists_of_objects(tmp_path: Path) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [STORE, changed(STORE, {"metadata.name": "other"})]}
    path = tmp_path / "all.yaml"
    path.write_text(f"---\n# nothing yet\n---\n{yaml.safe_dump(JOB)}---\n{yaml.safe_dump(listed)}...\n")
    loaded = load_manifests(path)
    assert [(type(one.obj), one.obj.name) for one in loaded] == [
        (TrainingJob, "digits"),
        (CheckpointStore, "runs"),
        (CheckpointStore, "other"),
    ]
    assert {one.file for one in loaded} == {str(path)}
    assert loaded[0].line == 4


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(JOB)))
    (loaded,) = load_manifests("-")
    assert loaded.file == "<stdin>"


def test_misplaced_fields_are_checked_where_they_belong() -> None:
    flat = changed(JOB, {"spec.training": REMOVED, "spec.epochs": 5, "spec.steps": 5, "spec.global_batch_size": "many"})
    assert [(problem.field, problem.message) for problem in problems_of(yaml.safe_dump(flat, sort_keys=False))] == [
        ("spec.epochs", "unknown field"),
        ("spec.steps", "unknown field"),
        ("spec.training", "exactly one of epochs and steps must be set; found epochs and steps"),
        ("spec.global_batch_size", "unknown field"),
        ("spec.training.globalBatchSize", 'found "many"'),
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"absent\.yaml"):
        load_manifests(tmp_path / "absent.yaml")


def test_bytes_that_are_no_text_are_a_problem_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "image.yaml"
    path.write_bytes(b"kind: \xff\xfe")
    with pytest.raises(InvalidManifest, match="not UTF-8"):
        load_manifests(path)


def test_a_folder_is_not_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_manifests(tmp_path)


def test_what_the_api_server_returns_is_a_manifest_too() -> None:
    returned = changed(
        JOB,
        {
            "metadata.uid": "0f3b",
            "metadata.resourceVersion": "12",
            "metadata.creationTimestamp": "2025-01-31T12:00:00Z",
            "metadata.managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
            "status": {"phase": "Running", "step": 3, "conditions": []},
        },
    )
    (loaded,) = parse(yaml.safe_dump(returned))
    assert isinstance(loaded.obj, TrainingJob)
    assert loaded.obj.status is not None
    assert loaded.obj.status.step == 3


def test_defaults_and_names() -> None:
    (loaded,) = parse(yaml.safe_dump(JOB))
    assert isinstance(loaded.obj, TrainingJob)
    spec = loaded.obj.spec
    assert spec.checkpoint.every.choice == "seconds"
    assert spec.checkpoint.every.seconds == 60
    assert (spec.training.mode, spec.training.on_nan, spec.training.threads.intra_op) == ("Exact", "Stop", 1)
    assert spec.workers.resources.cpu_count == 1
    assert spec.workers.resources.memory_bytes == 2 << 30
    assert spec.replica_count == 2
    assert spec.data is not None
    assert spec.data.source.choice == "builtin"


@pytest.mark.parametrize(("text", "value"), [("2", 2), ("500m", 0.5), ("0.5", 0.5), ("1.5", 1.5), (3, 3)], ids=str)
def test_cpu(text: str | int, value: float) -> None:
    job = TrainingJob.from_manifest(changed(JOB, {"spec.workers.resources": {"cpu": text}}))
    assert job.spec.workers.resources.cpu_count == value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    # What YAML itself cannot carry is not the loader's business.
    | st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"\A[a-z_]{1,6}\Z"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(args=st.dictionaries(st.from_regex(r"\A[a-z_]{1,8}\Z"), json_values, max_size=4))
def test_free_form_arguments_survive_the_way_through_yaml(args: dict[str, Any]) -> None:
    (loaded,) = parse(yaml.safe_dump(changed(JOB, {"spec.task.args": args}), allow_unicode=True))
    assert isinstance(loaded.obj, TrainingJob)
    assert loaded.obj.spec.task.args == args
    (again,) = parse(yaml.safe_dump(loaded.obj.to_manifest(), allow_unicode=True))
    assert again.obj == loaded.obj


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(st.sampled_from("abk:-?&*!|>{}[],#'\"\n \t<1~é%@`"), max_size=40))
def test_any_text_gives_objects_or_problems(text: str) -> None:
    found = problems_of(text)
    assert all(problem.at.line >= 1 and problem.message for problem in found)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=st.dictionaries(st.sampled_from([*sorted(JOB["spec"]), "epochs", "x"]), json_values, max_size=5))
def test_any_spec_gives_an_object_or_problems(spec: dict[str, Any]) -> None:
    found = problems_of(yaml.safe_dump({**JOB, "spec": {**JOB["spec"], **spec}}, allow_unicode=True))
    assert all(problem.field.startswith("spec") for problem in found)
