"""Makes one checkpoint not exist any more and deletes its files, on somebody's explicit order."""

from __future__ import annotations

from collections.abc import Mapping

from sojourn.checkpoint.sweep import delete_folder, release
from sojourn.errors import NotFound, SojournError
from sojourn.mover.job import reason_of
from sojourn.mover.result import leave
from sojourn.runlog.errors import StaleTerm
from sojourn.runlog.log import RunLog
from sojourn.store.base import Store
from sojourn.store.environment import store_from_environment

_TRIES = 5


def retire(environment: Mapping[str, str]) -> int:
    """Leave {done, bytes} or {done: false, reason, message, hint}; the exit code is that of the error."""
    try:
        store = store_from_environment(environment)
        freed = retire_checkpoint(store, environment["SOJOURN_RUN"], environment["SOJOURN_CHECKPOINT"])
    except SojournError as error:
        said = {"done": False, "reason": reason_of(error), "message": error.message, "hint": error.hint}
        leave(environment, said)
        return error.exit_code
    leave(environment, {"done": True, "bytes": freed})
    return 0


def retire_checkpoint(store: Store, prefix: str, key: str) -> int:
    """Retire the checkpoint `key` of the run at `prefix` and delete its files; returns their bytes.

    One that is retired already, or whose run is gone, has its files deleted all the same.

    Raises:
        Pinned: a reader holds it.
        StoreError: the store failed; asked again it goes on.
    """
    try:
        log = RunLog.open(store, prefix)
    except NotFound:
        return delete_folder(store, f"{prefix}/{key}")
    commit = next((commit for commit in log.state.commits if commit.checkpoint == key), None)
    if commit:
        _retire(log, key)
    if commit and commit.run:
        release(log, commit.run)
        return 0
    return delete_folder(store, f"{prefix}/{key}")


def _retire(log: RunLog, key: str) -> None:
    for left in reversed(range(_TRIES)):
        try:
            log.retire(term=log.state.term, keys=[key], reason="deleted as a Checkpoint object")
            return
        except StaleTerm:
            # An attempt began in between; it may restore from what is gone, and then takes the one before.
            if not left:
                raise
