"""Deletes what the checkpoint policy no longer keeps, beside the commits and never in their way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from sojourn.api.policy import CheckpointPolicy
from sojourn.checkpoint.retention import BestPolicy, RetentionPolicy
from sojourn.checkpoint.sweep import delete_folder, sweep
from sojourn.errors import SojournError
from sojourn.runlog.log import RunLog

log = logging.getLogger(__name__)


class Retention:
    """Sweeps in a thread of its own after commits; commits that come during a sweep share the next one.

    Args:
        on_retired: told the keys of checkpoints that do not exist any more.
        until_first: folder of a copied checkpoint that is of no use once the run has one of its own; "" if none.
    """

    def __init__(
        self,
        run: RunLog,
        policy: CheckpointPolicy,
        on_retired: Callable[[tuple[str, ...]], None],
        until_first: str = "",
    ) -> None:
        self._run = run
        self._until_first = until_first
        self._on_retired = on_retired
        self._policy = as_retention_policy(policy)
        self._wanted = threading.Event()
        self._closed = False
        self._asked = False
        self._term = 0
        self._thread = threading.Thread(target=self._work, name="retention", daemon=True)
        self._thread.start()

    def after_commit(self, term: int) -> None:
        """Ask for a sweep on behalf of the attempt with this term."""
        self._term, self._asked = term, True
        self._wanted.set()

    def close(self) -> None:
        """Finish the sweep that was asked for."""
        self._closed = True
        self._wanted.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closed or self._asked:
            self._wanted.wait()
            self._wanted.clear()
            if self._asked:
                self._asked = False
                self._sweep(self._term)

    def _sweep(self, term: int) -> None:
        try:
            if self._until_first:
                delete_folder(self._run.store, f"{self._run.prefix}/{self._until_first}")
                self._until_first = ""
            report = sweep(self._run, self._policy, term=term, now=datetime.now(UTC))
        except SojournError as error:
            log.warning("old checkpoints could not be removed, the next commit tries again: %s", error)
            return
        if report.retired:
            self._on_retired(report.retired)


def as_retention_policy(policy: CheckpointPolicy) -> RetentionPolicy:
    """The manifest's policy in the words of core."""
    best = policy.keep_best
    return RetentionPolicy(
        keep_last=policy.keep_last,
        keep_best=BestPolicy(best.metric, best.mode, best.count) if best is not None else None,
        keep_every=policy.keep_every_hours * 3600.0 if policy.keep_every_hours is not None else None,
    )
