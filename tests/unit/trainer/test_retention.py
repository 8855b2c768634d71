"""Retention beside a store that fails: it costs nothing but time."""

from __future__ import annotations

import threading

from helpers.runs import Clock, commit_step, new_run
from sojourn.api.policy import CheckpointPolicy
from sojourn.errors import StoreError
from sojourn.store.memory import MemoryStore
from sojourn_trainer.driver.retention import Retention


class Undeletable(MemoryStore):
    """Deletes nothing until it is mended, and tells of the first try."""

    def __init__(self) -> None:
        super().__init__("retention")
        self.tried = threading.Event()
        self.mended = threading.Event()

    def delete(self, key: str) -> None:
        if not self.tried.is_set():
            self.tried.set()
            assert self.mended.wait(20)
            raise StoreError(f"cannot delete {key}")
        super().delete(key)


def test_what_could_not_be_deleted_goes_after_the_next_commit() -> None:
    """Also when that commit is the last, and comes while the sweep before it still fails."""
    store, clock = Undeletable(), Clock()
    log = new_run(store, clock.env())
    log.begin_attempt("a")
    retired: list[str] = []
    retention = Retention(log, CheckpointPolicy.model_validate({"keepLast": 1}), retired.extend)
    for step in (1, 2):
        commit_step(log, step)
    retention.after_commit(1)
    assert store.tried.wait(20)
    commit_step(log, 3)
    retention.after_commit(1)
    threading.Timer(0.05, store.mended.set).start()
    retention.close()
    assert [commit.step for commit in log.refresh().commits] == [3]
    (left,) = {
        info.key.removeprefix(f"{log.prefix}/data/").partition("/")[0] for info in store.list(f"{log.prefix}/data")
    }
    assert left.startswith("3-")
