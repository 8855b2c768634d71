"""JSON values to arrays: what is taken, what is refused, and how the refusal says what was expected."""

from __future__ import annotations

import base64
import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn_serving.server.protocol.decode import load_object, to_array
from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import DTYPES, TensorSpec

IMAGE = TensorSpec("image", "float32", (None, 2))
WORDS = TensorSpec("words", "string", (None,))

nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=2),
    max_leaves=12,
)
specs = st.builds(
    TensorSpec,
    st.just("t"),
    st.sampled_from(sorted(DTYPES)),
    st.none() | st.lists(st.none() | st.integers(0, 3), max_size=3).map(tuple),
)


def test_numbers_become_an_array_of_the_models_dtype() -> None:
    array = to_array([[1, 2.5], [3, 4]], IMAGE, "inputs")

    assert array.dtype == np.float32
    assert array.tolist() == [[1.0, 2.5], [3.0, 4.0]]


def test_strings_become_bytes() -> None:
    encoded = {"b64": base64.b64encode(b"\xff\x00").decode()}

    assert to_array(["é", encoded], WORDS, "inputs").tolist() == ["é".encode(), b"\xff\x00"]


def test_bfloat16_takes_any_number() -> None:
    assert to_array([2**63], TensorSpec("b", "bfloat16", (None,)), "b").tolist() == [2.0**63]


def test_a_scalar_and_an_open_rank_are_taken() -> None:
    assert to_array(3, TensorSpec("n", "int64", ()), "n").shape == ()
    assert to_array([[[1], [2]]], TensorSpec("n", "int8", None), "n").shape == (1, 2, 1)


@pytest.mark.parametrize(
    ("value", "spec", "said"),
    [
        ([[1, 2, 3]], IMAGE, "expected float32 of shape [-1, 2], got shape [1, 3]"),
        ([1, 2], IMAGE, "got shape [2]"),
        ([[1, 2], [3]], IMAGE, "unequal length: [1] is a list of 1, the first entry is a list of 2"),
        ([[1, 2], 3], IMAGE, "[1] is an integer, the first entry is a list of 2"),
        ([[1, "2"]], IMAGE, "so numbers; got a string ('2')"),
        ([[1, None]], IMAGE, "got null"),
        ([[1, True]], IMAGE, "got a boolean (True)"),
        ([[1, [2]]], IMAGE, "got a list"),
        ([[1, 1e39]], IMAGE, "1e+39 is out of range for float32"),
        ([[1, 10**400]], IMAGE, "out of range"),
        ([300], TensorSpec("n", "uint8", (None,)), "300 is out of range for uint8 (0 to 255)"),
        ([1.5], TensorSpec("n", "int32", (None,)), "so integers; got a number (1.5)"),
        ([1], TensorSpec("n", "bool", (None,)), "so booleans"),
        ([1], WORDS, "so strings"),
        ([{"b64": "*"}], WORDS, "is not base64"),
        ([{"b65": "AA=="}], WORDS, "got an object with ['b65']"),
        ([1], TensorSpec("z", "complex64", (None,)), "complex64 cannot be sent as JSON"),
    ],
)
def test_what_is_refused_says_what_was_expected(value: object, spec: TensorSpec, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        to_array(value, spec, "here")

    assert said in refused.value.message
    assert refused.value.message.startswith("here: ")
    assert refused.value.status == 400


def test_one_long_string_among_many_numbers_costs_nothing() -> None:
    with pytest.raises(RequestError, match="got a string"):
        to_array([["x" * 1_000_000, 1.0]] + [[0.0, 0.0]] * 100_000, IMAGE, "here")


@given(nested, specs)
def test_any_value_is_an_admitted_array_or_a_request_error(value: object, spec: TensorSpec) -> None:
    try:
        array = to_array(value, spec, "here")
    except RequestError:
        return
    assert spec.admits(array.shape)
    assert array.dtype == spec.element.numpy


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2)))
def test_every_float32_arrives_unchanged(rows: list[list[float]]) -> None:
    if rows:
        assert np.array_equal(to_array(rows, IMAGE, "here"), np.array(rows, np.float32))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the request body is empty"),
        (b"  \n", "the request body is empty"),
        (b"{", "not valid JSON"),
        (b'{"a": \xff}', "not valid JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": [1, -Infinity]}', "-Infinity is not a JSON number"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1]", "is a list; expected a JSON object"),
        (b"null", "is null"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(RequestError, match="request body") as refused:
        load_object(body)

    assert said in refused.value.message


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_a_request_error(body: bytes) -> None:
    with contextlib.suppress(RequestError):
        assert isinstance(load_object(body), dict)


def test_a_number_beyond_float64_is_refused() -> None:
    assert math.isinf(float("1e999"))
    with pytest.raises(RequestError):
        to_array(load_object(b'{"a": [[1, 1e999]]}')["a"], IMAGE, "here")
