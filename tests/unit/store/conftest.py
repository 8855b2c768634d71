from __future__ import annotations

from pathlib import Path

import pytest

from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore


@pytest.fixture(params=["memory", "posix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else PosixStore(tmp_path / "made" / "later")


@pytest.fixture
def race_rounds() -> int:
    return 500
