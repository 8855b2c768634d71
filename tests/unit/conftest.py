"""Fixtures for all unit tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .stored_runs import env, two_stores

__all__ = ["env", "two_stores"]

GOLDEN = Path(__file__).parents[1] / "golden"
FAKE_NODE = Path(__file__).parent / "fake_node"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with a checked-in file; UPDATE_GOLDEN=1 rewrites the file, and review shows the effect."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        expected = path.read_text() if path.exists() else ""
        assert text == expected, f"differs from {path}; UPDATE_GOLDEN=1 accepts the change"

    return compare


@pytest.fixture
def fake_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Let `sojourn run` start a stand-in for the trainer; the call says what it does and gives the file it tells in."""

    def choose(scenario: str) -> Path:
        saw = tmp_path / "saw.json"
        monkeypatch.setenv("PYTHONPATH", str(FAKE_NODE))
        monkeypatch.setenv("FAKE_NODE", scenario)
        monkeypatch.setenv("FAKE_NODE_SAW", str(saw))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        monkeypatch.delenv("SOJOURN_STORE", raising=False)
        # The stand-in needs neither; the check for them has a test of its own.
        monkeypatch.setattr("sojourn.client.launch.NEEDED", ())
        return saw

    return choose
