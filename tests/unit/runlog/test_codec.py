from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.runlog.codec import from_json, to_json


@dataclass(frozen=True)
class Inner:
    long_name: int
    flag: bool = False


@dataclass(frozen=True)
class Outer:
    text: str
    when: datetime
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    anything: Any = None
    word: Literal["Max", "Min"] = "Max"


_inners = st.builds(Inner, st.integers(-(2**63), 2**63), st.booleans())
_outers = st.builds(
    Outer,
    st.text(),
    st.datetimes(timezones=st.just(UTC)),
    st.none() | _inners,
    st.lists(_inners, max_size=3).map(tuple),
    st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=3),
    st.none() | st.lists(st.integers()),
    st.sampled_from(["Max", "Min"]),
)


@given(_outers)
def test_what_is_written_is_read_back(outer: Outer) -> None:
    assert from_json(Outer, json.loads(json.dumps(to_json(outer), allow_nan=False))) == outer


def test_the_form_in_json() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=1)))
    assert to_json(Outer("x", when, Inner(3), numbers={"a": math.inf, "b": -math.inf, "c": math.nan})) == {
        "text": "x",
        "when": "2026-01-02T02:04:05.000006Z",
        "inner": {"longName": 3},
        "numbers": {"a": "Infinity", "b": "-Infinity", "c": "NaN"},
    }
    read = from_json(Outer, {"text": "x", "when": "2026-01-02T02:04:05Z", "numbers": {"a": "NaN", "b": 1}})
    assert math.isnan(read.numbers["a"])
    assert read.numbers["b"] == 1.0


def test_fields_of_later_versions_are_ignored() -> None:
    assert from_json(Inner, {"longName": 1, "unheardOf": {}}) == Inner(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": 3}, "Outer.text should be str, not 3"),
        ({"text": None}, "Outer.text should be str"),
        ({"when": "yesterday"}, "yesterday"),
        ({"when": 3}, "Outer.when should be datetime"),
        ({"inner": []}, "Inner should be an object"),
        ({"inner": {}}, "Inner.longName is missing"),
        ({"inner": {"longName": True}}, "Inner.longName should be int"),
        ({"inner": {"longName": 1, "flag": 1}}, "Inner.flag should be bool"),
        ({"many": {}}, "Outer.many has the wrong type"),
        ({"numbers": []}, "Outer.numbers has the wrong type"),
        ({"numbers": {"a": "1"}}, "Outer.numbers should be float"),
        ({"numbers": {"a": False}}, "Outer.numbers should be float"),
        ({"word": "max"}, "Outer.word should be one of"),
    ],
)
def test_wrong_fields_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Outer, {"text": "x", "when": "2026-01-01T00:00:00Z", **change})
