from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.folders import fast_folder
from helpers.logs import PREFIX, created
from helpers.runs import Clock
from sojourn.runlog.log import RunLog
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

__all__ = ["fast_folder"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return MemoryStore()


@pytest.fixture
def log(store: Store, clock: Clock) -> RunLog:
    return RunLog.create(store, PREFIX, created(), clock.env())


@pytest.fixture(params=["memory", "posix"])
def any_store(request: pytest.FixtureRequest, fast_folder: Path) -> Any:
    return MemoryStore() if request.param == "memory" else PosixStore(fast_folder)
