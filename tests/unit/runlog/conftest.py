from __future__ import annotations

import pytest

from helpers.folders import fast_folder
from helpers.logs import PREFIX, created
from helpers.runs import Clock
from sojourn.runlog.log import RunLog
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore

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
