"""Taking the model out of a script that would train it."""

from __future__ import annotations

import pytest

from sojourn.errors import InvalidInput
from sojourn.task.capture import capture, capturing, hand_over


def script(reached: list[str]) -> None:
    try:
        hand_over("model", epochs=3)
    except Exception:  # noqa: BLE001 what a careless script does
        reached.append("swallowed")
    reached.append("trained")


def test_fit_goes_on_when_nobody_captures() -> None:
    reached: list[str] = []
    script(reached)
    assert reached == ["trained"]
    assert not capturing()


def test_capture_takes_the_model_and_ends_the_script() -> None:
    reached: list[str] = []
    with capture() as box:
        assert capturing()
        script(reached)
    assert reached == []
    assert box.model == "model"
    assert box.details == {"epochs": 3}
    assert not capturing()


def test_a_script_that_never_trains() -> None:
    with capture() as box:
        pass
    assert not box.filled
    with pytest.raises(InvalidInput, match="without calling fit"):
        _ = box.model


def test_what_the_script_raises_passes_through() -> None:
    with pytest.raises(ValueError, match="mine"), capture():
        raise ValueError("mine")
    assert not capturing()
