"""The spec digest answers one question: is this the run that is there already?"""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helpers.manifests import JOB, changed
from sojourn.api import TrainingJob, canonical_json, parse, run_definition, spec_digest


def digest_of(text: str) -> str:
    (loaded,) = parse(text)
    assert isinstance(loaded.obj, TrainingJob)
    return spec_digest(loaded.obj)


def test_it_is_the_same_in_every_release() -> None:
    """A changed value here means that no run of an older release resumes: see docs/reference/manifest.md."""
    assert spec_digest(TrainingJob.from_manifest(JOB)) == (
        "blake3:94de3478ec97c71a3049de4c395fb5bb13a02f77ff73b4daf9e812b0113a64dc"
    )


def test_form_does_not_matter() -> None:
    spelled_out = changed(
        JOB, {"spec.training.mode": "Exact", "spec.data.split": {"test": 0}, "spec.task.args": {"hidden": 128.0}}
    )
    assert digest_of(yaml.safe_dump(JOB)) == digest_of(yaml.safe_dump(spelled_out))
    assert digest_of(yaml.safe_dump(JOB)) == digest_of(json.dumps(JOB, indent=3))


def test_name_and_labels_do_not_define_a_run() -> None:
    named = changed(JOB, {"metadata.name": "other", "metadata.labels": {"team": "a"}})
    assert digest_of(yaml.safe_dump(JOB)) == digest_of(yaml.safe_dump(named))


def test_threads_count_in_mode_exact_only() -> None:
    fast, wide = {"spec.training.mode": "Fast"}, {"spec.training.threads": {"intraOp": 4}}
    exact_digests = {digest_of(yaml.safe_dump(changed(JOB, changes))) for changes in ({}, wide)}
    fast_digests = {digest_of(yaml.safe_dump(changed(JOB, changes))) for changes in (fast, {**fast, **wide})}
    assert (len(exact_digests), len(fast_digests)) == (2, 1)


def test_the_definition_is_complete() -> None:
    assert run_definition(TrainingJob.from_manifest(JOB)) == {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "TrainingJob",
        "task": {"entrypoint": "sojourn_trainer.tasks.mlp:build", "args": {"hidden": 128}},
        "data": {
            "source": {"builtin": {"name": "digits"}},
            "normalize": "None",
            "dropMissing": True,
            "split": {"validation": 0.0, "test": 0.0},
            "shuffle": True,
        },
        "training": {
            "globalBatchSize": 64,
            "seed": 7,
            "mode": "Exact",
            "threads": {"intraOp": 1, "interOp": 1},
            "metrics": [],
        },
    }


@given(
    st.dictionaries(
        st.text(max_size=4), st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), max_size=5
    )
)
def test_canonical_json_is_json_and_knows_no_order(value: dict[str, int | float | str]) -> None:
    text = canonical_json(value)
    assert text == canonical_json(dict(reversed(value.items())))
    assert json.loads(text) == value
    assert b" " not in text or " " in "".join(value) + "".join(map(str, value.values()))


def test_canonical_json_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json([float("nan")])
