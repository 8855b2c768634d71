"""Conditions keep the time of their last transition, and merge patches say no more than what differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.operator import EPOCH
from sojourn_operator.runtime.conditions import condition, get_condition, is_true, reason_of, with_conditions
from sojourn_operator.runtime.mergepatch import apply_merge_patch, merge_patch_between

LATER = EPOCH + timedelta(hours=1)


def test_the_transition_time_moves_with_the_status_alone() -> None:
    first = with_conditions([], [condition("Ready", False, "Starting"), condition("Old", True, "X")], 1, EPOCH)
    second = with_conditions(first, [condition("Ready", False, "Waiting", "for pods")], 2, LATER)
    assert second[0] == {
        "type": "Ready",
        "status": "False",
        "observedGeneration": 2,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "Waiting",
        "message": "for pods",
    }
    assert second[1] == first[1]
    third = with_conditions(second, [condition("Ready", True, "Running")], 2, LATER)
    assert third[0]["lastTransitionTime"] == "2026-01-01T01:00:00Z"
    assert first[0]["reason"] == "Starting"


def test_conditions_are_read_by_type() -> None:
    obj = {"status": {"conditions": with_conditions([], [condition("Ready", "Unknown", "Lost")], 1, EPOCH)}}
    assert not is_true(obj, "Ready")
    assert reason_of(obj, "Ready") == "Lost"
    assert get_condition(obj, "Complete") is None
    assert reason_of({}, "Ready") == ""


VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_the_patch_between_two_values_leads_from_one_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge_patch_between(old, new)
    assert apply_merge_patch(old, patch) == new
    assert (patch == {}) == (old == new)


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 1, "d": 3}}, {"a": None, "b": {"d": 3}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {"a": None}, {"a": None}),
    ],
)
def test_a_patch_says_no_more_than_what_differs(old: Any, new: Any, patch: Any) -> None:
    assert merge_patch_between(old, new) == patch
