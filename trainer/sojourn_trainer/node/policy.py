"""What the supervisor does when the driver ends: pure decisions over exit codes and failures."""

from __future__ import annotations

from enum import Enum

from sojourn_trainer.driver.backoff import Backoff

# Exit codes by which a driver says that it has said everything (docs/reference/exit-codes.md).
SPOKEN = frozenset({0, 1, 2, 3, 4, 5})


class Next(Enum):
    """After the driver's end."""

    END = "end"  # with the driver's exit code
    RESTART = "restart"
    GIVE_UP = "giveUp"


def after_driver(exit_code: int, stopping: bool, backoff: Backoff) -> Next:
    """What follows the end of a driver.

    Args:
        exit_code: as subprocess gives it: negative for a signal.
        stopping: the node itself is being stopped.
        backoff: failures since the last commit, this one included where it was one.
    """
    if exit_code in SPOKEN:
        return Next.END
    if stopping or backoff.exhausted:
        return Next.GIVE_UP
    return Next.RESTART


def how_it_ended(exit_code: int) -> str:
    """An exit code in words."""
    return f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
