"""What of a checkpoint goes where, and what is told when it does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.errors import InvalidInput
from sojourn_trainer.checkpointing.selection import Form, by_patterns, require_matches, select

SMALL, LARGE = Form((2, 3), "float32"), Form((4, 3), "float32")
HERE = {"model/trunk/kernel": SMALL, "model/head/kernel": LARGE, "optimizer/trunk/momentum": SMALL}
SAVED = {"model/trunk/kernel": SMALL, "model/head/kernel": SMALL, "model/old/bias": SMALL}


def test_all_that_does_not_fit_is_told_at_once() -> None:
    found = select(HERE, SAVED, lambda _: True, lambda _: False)
    assert found.taken == ("model/trunk/kernel",)
    assert found.problems == (
        "missing in the checkpoint: optimizer/trunk/momentum (float32 [2, 3]); of another form: model/head/kernel "
        "(saved float32 [2, 3], here float32 [4, 3]); only in the checkpoint: model/old/bias (float32 [2, 3])"
    )


def test_a_renamed_layer_is_told_with_the_name_that_it_had() -> None:
    here = {"model/dense_1/kernel": SMALL}
    saved = {"model/dense_2/kernel": LARGE, "model/dense/kernel": SMALL, "model/other": SMALL}
    assert select(here, saved, lambda _: True, lambda _: False).problems == (
        "missing in the checkpoint: model/dense_1/kernel (float32 [2, 3]; the nearest name there is "
        "model/dense/kernel); only in the checkpoint: model/dense/kernel (float32 [2, 3]), "
        "model/dense_2/kernel (float32 [4, 3]), model/other (float32 [2, 3])"
    )


def test_long_lists_are_cut() -> None:
    here = {f"model/{number}": SMALL for number in range(20)}
    said = select(here, {}, lambda _: True, lambda _: False).problems
    assert said.endswith("model/7 (float32 [2, 3]) and 12 more")


def test_what_was_not_asked_for_is_no_problem() -> None:
    found = select(HERE, SAVED, by_patterns(["model/*"], ["model/head/*"]), lambda _: False)
    assert found.problems == ""
    assert found.summary == (
        "takes 1 of 3 variables; new: model/head/kernel, optimizer/trunk/momentum; "
        "only in the checkpoint: model/old/bias"
    )


def test_another_dtype_is_another_form() -> None:
    found = select(
        {"model/a": Form((2,), "bfloat16")}, {"model/a": Form((2,), "float32")}, lambda _: True, lambda _: True
    )
    assert [name for name, _, _ in found.mismatched] == ["model/a"]


def test_a_pattern_without_a_match_is_a_slip() -> None:
    require_matches(["model/*", "*/kernel"], list(HERE))
    with pytest.raises(InvalidInput, match="'model/trnk/\\*' matches nothing"):
        require_matches(["model/trnk/*"], list(HERE))


NAMES = st.sampled_from([f"{kind}/{layer}" for kind in ("model", "metrics") for layer in "abcd"])
FORMS = st.dictionaries(NAMES, st.sampled_from([SMALL, LARGE]))


@given(FORMS, FORMS, st.sets(NAMES), st.sets(NAMES))
def test_every_variable_is_accounted_for_once(
    here: dict[str, Form], saved: dict[str, Form], wanted: set[str], may_lack: set[str]
) -> None:
    found = select(here, saved, wanted.__contains__, may_lack.__contains__)
    parts = [*found.taken, *found.fresh, *found.missing, *(name for name, _, _ in found.mismatched)]
    assert sorted(parts) == sorted(here)
    assert all(here[name] == saved[name] and name in wanted for name in found.taken)
    assert not set(found.extra) & set(here)
