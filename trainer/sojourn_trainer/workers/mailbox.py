"""Where a worker process keeps its assignment between the start of its group and the start of training."""

from __future__ import annotations

from sojourn_trainer.workers.assignment import Assignment

_assignments: list[Assignment] = []


def put(assignment: Assignment) -> None:
    """Called in the worker process when its group starts."""
    _assignments[:] = [assignment]


def take() -> Assignment:
    """The newest assignment. Raises RuntimeError before `put`, which would be an error of the launcher."""
    if not _assignments:
        raise RuntimeError("this worker process was given no assignment")
    return _assignments[-1]
