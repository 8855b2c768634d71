"""TensorFlow Serving's REST protocol: row and column forms, names, answers, errors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from helpers.signatures import MODEL, PAIR_MODEL
from sojourn_serving.server.protocol import v1
from sojourn_serving.server.protocol.errors import RequestError


def parse(document: Any) -> v1.Predict:
    return v1.parse(json.dumps(document).encode(), MODEL)


def test_rows_of_a_lone_input_need_no_name() -> None:
    predict = parse({"instances": [[1, 2], [3, 4]]})

    assert predict.rows
    assert predict.query.inputs["image"].tolist() == [[1, 2], [3, 4]]


def test_rows_and_columns_with_names_are_the_same_query() -> None:
    rows = parse(
        {"signature_name": "pair", "instances": [{"age": 1, "name": "a"}, {"age": 2, "name": {"b64": "Yg=="}}]}
    )
    columns = parse({"signature_name": "pair", "inputs": {"age": [1, 2], "name": ["a", "b"]}})

    for predict in (rows, columns):
        assert predict.query.signature.name == "pair"
        assert predict.query.inputs["age"].tolist() == [1, 2]
        assert predict.query.inputs["name"].tolist() == [b"a", b"b"]


def test_a_lone_input_may_be_named_in_both_forms() -> None:
    assert parse({"instances": [{"image": [1, 2]}]}).query.inputs["image"].shape == (1, 2)
    assert parse({"inputs": {"image": [[1, 2]]}}).query.inputs["image"].shape == (1, 2)
    assert parse({"inputs": [[1, 2]]}).query.inputs["image"].shape == (1, 2)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "exactly one of 'instances' (row form) and 'inputs' (column form)"),
        ({"instances": [[1, 2]], "inputs": [[1, 2]]}, "exactly one of"),
        ({"instance": [[1, 2]]}, "unknown field 'instance' (did you mean 'instances'?)"),
        ({"instances": []}, "instances: the list is empty"),
        ({"instances": {"image": [1, 2]}}, "instances: expected a list with one entry per row, got an object"),
        ({"instances": [{"imge": [1, 2]}]}, "instances[0]: unknown input 'imge' (did you mean 'image'?)"),
        ({"signature_name": "pair", "instances": [{"age": 1}]}, "missing input 'name' (string of shape [-1])"),
        ({"signature_name": "pair", "instances": [[1, 2]]}, "has 2 inputs; name them: 'age', 'name'"),
        ({"signature_name": "pair", "inputs": [1]}, "has 2 inputs; name them"),
        (
            {"instances": [{"image": [1, 2]}, [1, 2]]},
            "instances[1]: expected an object as in the first row, got a list",
        ),
        ({"instances": [[1, 2], {"image": [1, 2]}]}, "[1] is an object, the first entry is a list of 2"),
        ({"instances": [[1, 2], [1]]}, "instances (input 'image'): lists of unequal length"),
        ({"instances": [["a", "b"]]}, "expected float32 of shape [-1, 2], so numbers"),
        ({"inputs": {"image": [[1, 2, 3]]}}, "inputs.image: expected float32 of shape [-1, 2], got shape [1, 3]"),
        ({"signature_name": "pear", "instances": [1]}, "no signature 'pear' (did you mean 'pair'?)"),
        ({"signature_name": 1, "instances": [1]}, "signature_name: expected a string, got an integer"),
    ],
)
def test_malformed_requests_are_told_what_was_expected(document: Any, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(document)

    assert said in refused.value.message
    assert refused.value.status == 400


def test_the_answer_follows_the_form_of_the_question() -> None:
    outputs = {"probabilities": np.array([[0.5, 0.25, 0.25]], np.float32)}

    rows = v1.render(parse({"instances": [[1, 2]]}), outputs)
    columns = v1.render(parse({"inputs": [[1, 2]]}), outputs)

    assert json.loads(rows) == {"predictions": [[0.5, 0.25, 0.25]]}
    assert json.loads(columns) == {"outputs": [[0.5, 0.25, 0.25]]}


def test_several_outputs_are_named_and_bytes_are_base64() -> None:
    outputs = {"code_bytes": np.array([b"\xff", b"a"], object), "score": np.array([1, 2], np.float32)}
    rows = parse({"signature_name": "pair", "instances": [{"age": 1, "name": "a"}, {"age": 2, "name": "b"}]})
    columns = parse({"signature_name": "pair", "inputs": {"age": [1, 2], "name": ["a", "b"]}})

    assert json.loads(v1.render(rows, outputs)) == {
        "predictions": [{"code_bytes": {"b64": "/w=="}, "score": 1.0}, {"code_bytes": {"b64": "YQ=="}, "score": 2.0}]
    }
    assert json.loads(v1.render(columns, outputs)) == {
        "outputs": {"code_bytes": [{"b64": "/w=="}, {"b64": "YQ=="}], "score": [1.0, 2.0]}
    }


def test_outputs_without_rows_cannot_be_given_as_rows() -> None:
    with pytest.raises(RequestError, match="no common first axis"):
        v1.render(parse({"instances": [[1, 2]]}), {"probabilities": np.float32(1).reshape(())})


def test_nan_is_written_as_tensorflow_serving_writes_it() -> None:
    answer = v1.render(parse({"instances": [[1, 2]]}), {"probabilities": np.array([[np.nan, np.inf, 1]], np.float32)})

    assert answer == b'{"predictions":[[NaN,Infinity,1.0]]}'


def test_status_and_metadata() -> None:
    assert v1.status(MODEL, available=True) == {
        "model_version_status": [
            {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    signatures = v1.metadata(MODEL)["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["image"]["dtype"] == "DT_FLOAT"
    assert signatures["serving_default"]["inputs"]["image"]["tensor_shape"]["dim"] == [
        {"size": "-1", "name": ""},
        {"size": "2", "name": ""},
    ]


def test_a_lone_signature_is_the_default() -> None:
    assert PAIR_MODEL.signature().name == "pair"


@pytest.mark.parametrize(("name", "version"), [("digit", None), ("digits", "4"), ("digits", "x")])
def test_what_is_not_served_is_not_found(name: str, version: str | None) -> None:
    with pytest.raises(RequestError) as refused:
        MODEL.require(name, version)

    assert refused.value.status == 404
