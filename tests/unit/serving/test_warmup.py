"""What a replica finds out about its model before it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from helpers.signatures import MODEL, PAIR_MODEL
from sojourn.errors import CorruptData
from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import ModelInfo
from sojourn_serving.server.warmup import Golden, load_golden, made_up, warm_up

Arrays = Mapping[str, np.ndarray]
ONLY_DIGITS = ModelInfo("digits", 3, {"serving_default": MODEL.signature()})
WEIGHTS = np.array([[1.0, 0.0, 2.0], [0.5, 1.0, 0.0]], np.float32)


def linear(name: str, inputs: Arrays) -> dict[str, np.ndarray]:
    return {"probabilities": inputs["image"] @ WEIGHTS}


def test_every_batch_size_is_run_and_independent_rows_may_batch() -> None:
    seen: set[int] = set()

    def run(name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        seen.add(len(inputs["image"]))
        return linear(name, inputs)

    warm = warm_up(run, ONLY_DIGITS, None, 8)

    assert warm.batchable == {"serving_default"}
    assert seen == {1, 2, 3, 4, 6, 8}


def test_rows_that_see_each_other_are_never_batched() -> None:
    def normalised(name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        return {"probabilities": linear(name, {"image": inputs["image"] / inputs["image"].sum()})["probabilities"]}

    warm = warm_up(normalised, ONLY_DIGITS, None, 8)

    assert warm.batchable == frozenset()
    assert "depends on the rows beside it" in warm.remarks[0]


def test_a_model_that_gives_one_output_for_all_rows_is_never_batched() -> None:
    warm = warm_up(lambda name, inputs: {"probabilities": np.zeros((1, 3))}, ONLY_DIGITS, None, 8)

    assert warm.batchable == frozenset()


def test_golden_outputs_must_be_reproduced() -> None:
    image = np.array([[1, 2], [3, 4]], np.float32)
    right = Golden({"image": image}, {"probabilities": image @ WEIGHTS})
    wrong = Golden({"image": image}, {"probabilities": image @ WEIGHTS + 0.1})

    assert warm_up(linear, ONLY_DIGITS, right, 4).batchable
    with pytest.raises(CorruptData, match="'probabilities' for the golden inputs"):
        warm_up(linear, ONLY_DIGITS, wrong, 4)


def test_a_signature_that_refuses_made_up_inputs_is_served_unbatched() -> None:
    def refuse(name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        raise RequestError("no such word")

    warm = warm_up(refuse, PAIR_MODEL, None, 4)

    assert warm.batchable == frozenset()
    assert "no such word" in warm.remarks[0]


def test_made_up_inputs_fit_the_signature() -> None:
    inputs = made_up(MODEL.signatures["pair"], rows=2)

    assert inputs["age"].tolist() == [0, 0]
    assert inputs["name"].tolist() == [b"", b""]


def test_golden_files_keep_strings(tmp_path: Path) -> None:
    np.savez(tmp_path / "golden.npz", **{"inputs/name": np.array([b"a", b"bc"]), "outputs/y": np.zeros(2)})

    golden = load_golden(tmp_path / "golden.npz")

    assert golden.inputs["name"].tolist() == [b"a", b"bc"]
    assert golden.inputs["name"].dtype == object
    assert list(golden.outputs) == ["y"]
