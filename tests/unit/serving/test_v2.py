"""The Open Inference Protocol: tensors, output filter, id, answers, errors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from helpers.signatures import MODEL, PAIR_MODEL
from sojourn_serving.server.protocol import v2
from sojourn_serving.server.protocol.errors import RequestError

IMAGE = {"name": "image", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}


def parse(document: Any) -> v2.Infer:
    return v2.parse(json.dumps(document).encode(), MODEL)


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_data_may_be_flat_or_nested(data: list[Any]) -> None:
    infer = parse({"inputs": [{**IMAGE, "shape": [2, 2], "data": data}]})

    assert infer.query.inputs["image"].tolist() == [[1, 2], [3, 4]]
    assert infer.id is None
    assert infer.outputs is None


def test_strings_are_bytes() -> None:
    infer = v2.parse(
        json.dumps(
            {
                "inputs": [
                    {"name": "name", "shape": [2], "datatype": "BYTES", "data": ["a", {"b64": "/w=="}]},
                    {"name": "age", "shape": [2], "datatype": "INT64", "data": [1, 2]},
                ]
            }
        ).encode(),
        PAIR_MODEL,
    )

    assert infer.query.inputs["name"].tolist() == [b"a", b"\xff"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "inputs: expected a list of objects, got null"),
        ({"inputs": [1]}, "inputs[0]: expected an object, got an integer"),
        ({"inputs": [{}]}, "inputs[0].name: expected a string, got null"),
        ({"inputs": []}, "missing input 'image' (float32 of shape [-1, 2])"),
        ({"inputs": [IMAGE, IMAGE]}, "'image' is given twice"),
        ({"inputs": [{**IMAGE, "name": "imag"}]}, "unknown input 'imag' (did you mean 'image'?)"),
        ({"inputs": [{**IMAGE, "datatype": "FP64"}]}, "expected datatype 'FP32', got 'FP64'"),
        ({"inputs": [{**IMAGE, "datatype": None}]}, "expected datatype 'FP32', got null"),
        ({"inputs": [{**IMAGE, "shape": [1, -2]}]}, "shape: expected a list of at most 32 sizes"),
        ({"inputs": [{**IMAGE, "shape": "2"}]}, "shape: expected a list"),
        ({"inputs": [{**IMAGE, "shape": [1] * 70}]}, "shape: expected a list of at most 32 sizes"),
        ({"inputs": [{**IMAGE, "shape": [1, 3]}]}, "expected float32 of shape [-1, 2], got shape [1, 3]"),
        ({"inputs": [{**IMAGE, "shape": [2, 2]}]}, "shape [2, 2] needs 4 elements, got 2"),
        (
            {"inputs": [{**IMAGE, "shape": [2, 2], "data": [[1, 2, 3, 4]]}]},
            "the nested data has [1, 4]",
        ),
        ({"inputs": [{**IMAGE, "shape": [10**30, 2], "data": []}]}, "shape: expected a list of at most 32 sizes"),
        ({"inputs": [{**IMAGE, "data": "12"}]}, "data: expected a list, got a string"),
        ({"inputs": [{**IMAGE, "data": [1, "2"]}]}, "so numbers; got a string"),
        ({"inputs": [{**IMAGE, "dta": []}]}, "unknown field 'dta' (did you mean 'data'?)"),
        ({"inputs": [IMAGE], "id": 3}, "id: expected a string, got an integer"),
        ({"inputs": [IMAGE], "parameters": []}, "parameters: expected an object"),
        ({"inputs": [IMAGE], "outputs": [{"name": "probs"}]}, "unknown output 'probs'"),
        ({"inputs": [IMAGE], "outputs": ["probabilities"]}, "outputs[0]: expected an object"),
        ({"input": [IMAGE]}, "unknown field 'input' (did you mean 'inputs'?)"),
    ],
)
def test_malformed_requests_are_told_what_was_expected(document: Any, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(document)

    assert said in refused.value.message
    assert refused.value.status == 400


def test_the_answer_names_model_version_and_id() -> None:
    infer = parse({"id": "a-1", "inputs": [IMAGE], "outputs": [{"name": "probabilities"}]})

    answer = v2.render(infer, {"probabilities": np.array([[0.5, np.nan, 0.25]], np.float32)}, MODEL)

    assert json.loads(answer) == {
        "id": "a-1",
        "model_name": "digits",
        "model_version": "3",
        "outputs": [{"name": "probabilities", "shape": [1, 3], "datatype": "FP32", "data": [0.5, None, 0.25]}],
    }


def test_bytes_that_are_no_text_are_base64_and_say_so() -> None:
    query = {"inputs": [{"name": "name", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}
    query["inputs"].append({"name": "age", "shape": [1], "datatype": "INT64", "data": [1]})
    infer = v2.parse(json.dumps({**query, "outputs": [{"name": "code_bytes"}]}).encode(), PAIR_MODEL)

    text = json.loads(v2.render(infer, {"code_bytes": np.array([b"ok"], object)}, PAIR_MODEL))["outputs"]
    raw = json.loads(v2.render(infer, {"code_bytes": np.array([b"\xff"], object)}, PAIR_MODEL))["outputs"]

    assert text == [{"name": "code_bytes", "shape": [1], "datatype": "BYTES", "data": ["ok"]}]
    assert raw[0]["data"] == ["/w=="]
    assert raw[0]["parameters"] == {"content_type": "base64"}


def test_metadata() -> None:
    assert v2.model_metadata(MODEL) == {
        "name": "digits",
        "versions": ["3"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
    }
