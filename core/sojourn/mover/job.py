"""What senders and receivers have in common: their object, their store, and how trouble is told and outlived."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sojourn.errors import CorruptData, InvalidInput, NotFound, Refused, SojournError, StoreError
from sojourn.mover.desk import Desk
from sojourn.mover.settings import Settings
from sojourn.mover.stages import Stages, rfc3339
from sojourn.runlog.env import Env
from sojourn.store.base import NoExclusiveCreate, StoreFull
from sojourn.transfer.errors import Interrupted, LinkFailed, PeerFailed
from sojourn.transfer.link import Directory
from sojourn.transfer.tls import Identity

T = TypeVar("T")

STOPPED = 143
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
_LASTING: tuple[type[SojournError], ...] = (NoExclusiveCreate, CorruptData, InvalidInput, NotFound, Refused)
_REASONS: dict[type[SojournError], str] = {
    StoreFull: "StoreFull",
    NoExclusiveCreate: "NoExclusiveCreate",
    StoreError: "StoreFailed",
    LinkFailed: "PeerUnreachable",
    PeerFailed: "PeerFailed",
    CorruptData: "CorruptData",
    NotFound: "NotFound",
    InvalidInput: "Invalid",
}


@dataclass
class Job:
    """One mover's surroundings. `ended` is set when it is to stop, whoever says so."""

    desk: Desk
    settings: Settings
    me: Identity
    directory: Directory
    stages: Stages
    env: Env
    ended: threading.Event

    @property
    def now(self) -> datetime:
        return self.env.now()

    def tell(self, **fields: Any) -> None:
        """Report a transition with the stages as they are."""
        self.desk.report(pipeline=self.stages.to_json(), heartbeatTime=rfc3339(self.now), **fields)

    def running(self, phase: str = "Running", **fields: Any) -> None:
        """Report that all is well."""
        self.tell(phase=phase, reason=None, message=None, hint=None, **fields)

    def count(self, stage: str, done: int, total: int) -> None:
        """Report progress of a stage, now or soon."""
        self.stages.count(stage, done, total)
        progress = {"done": done, "total": total, "unit": "bytes"}
        self.desk.progress(progress=progress, pipeline=self.stages.to_json(), heartbeatTime=rfc3339(self.now))

    def succeed(self, **fields: Any) -> None:
        """Report the end."""
        self.running("Succeeded", completionTime=rfc3339(self.now), **fields)

    def check(self) -> None:
        """Raise Interrupted if this mover is to stop."""
        if self.ended.is_set() or self.desk.deleting:
            raise Interrupted("the transfer was asked to stop")


def reason_of(error: SojournError) -> str:
    """One word for programs."""
    for kind in type(error).__mro__:
        if kind in _REASONS:
            return _REASONS[kind]
        if kind is Refused:
            return type(error).__name__
    return "Failed"


def outlive(job: Job, work: Callable[[], T]) -> T:
    """Do `work` again after troubles that may pass, telling of them meanwhile; raise those that last."""
    troubles = 0
    while True:
        job.check()
        try:
            return work()
        except Interrupted:
            raise
        except SojournError as error:
            if isinstance(error, _LASTING):
                raise
            # A NotFound of the API server is no end of the transfer, and neither is a slow network.
            job.tell(reason=reason_of(error), message=error.message, hint=error.hint)
            job.ended.wait(_PAUSES[min(troubles, len(_PAUSES) - 1)])
            troubles += 1
