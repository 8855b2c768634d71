"""What a training process knows while it trains: set up by the worker, found by `fit`."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sojourn.api import TrainingJob
from sojourn.store.base import Store
from sojourn_trainer.workers.assignment import Assignment, CoordinatorPort, Outcome

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class Session:
    """One attempt in one worker process.

    Attributes:
        training: whether the task's model has begun to train.
        outcome: how training ended; None until it has.
        clock: monotonic seconds.
    """

    job: TrainingJob
    assignment: Assignment
    store: Store
    strategy: tf.distribute.Strategy
    coordinator: CoordinatorPort
    clock: Callable[[], float]
    training: bool = False
    outcome: Outcome | None = None

    @property
    def rank(self) -> int:
        return self.assignment.place.rank

    @property
    def workers(self) -> int:
        return len(self.assignment.place.addresses)


current: ContextVar[Session | None] = ContextVar("sojourn_session", default=None)
