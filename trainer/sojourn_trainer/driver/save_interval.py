"""Chooses how often to save for a job with `every.auto`, and says so when the choice changes."""

from __future__ import annotations

from collections.abc import Callable

from sojourn import events
from sojourn.api.policy import AutoInterval
from sojourn.progress import words
from sojourn_trainer.checkpointing.interval import REMEMBERED, Choice, SaveCost, choose
from sojourn_trainer.driver.timing import Clocks


class SaveInterval:
    """What saves cost, over all attempts of one driver.

    Args:
        policy: the manifest's; None where it gives an interval itself.
        tell: gets the event of a choice that differs from the last one that was told.
    """

    def __init__(self, policy: AutoInterval | None, clocks: Clocks, tell: Callable[[events.Event], None]) -> None:
        self._policy = policy or AutoInterval()
        self._clocks = clocks
        self._tell = tell
        self._costs: list[SaveCost] = []
        self._told: Choice | None = None

    def after(self, cost: SaveCost | None, seen: float | None) -> float:
        """Seconds between two saves from now on.

        Args:
            cost: of the newest save, None where nothing new is known.
            seen: mean seconds between the failures that this driver has seen; None without any. The manifest's wins.
        """
        if cost is not None:
            self._costs = [*self._costs, cost][-REMEMBERED:]
        given = self._policy.mean_time_between_failures_seconds
        choice = choose(self._costs, self._policy.max_overhead_percent / 100.0, given if given is not None else seen)
        if choice.is_news_after(self._told):
            self._told = choice
            self._tell(
                events.SaveInterval(
                    time=self._clocks.wall(),
                    seconds=choice.seconds,
                    reason=choice.reason,
                    message=explain(choice, self._policy.max_overhead_percent),
                    cost_seconds=choice.cost,
                    write_seconds=choice.write,
                    overhead_percent=self._policy.max_overhead_percent,
                    failure_seconds=choice.failures,
                )
            )
        return choice.seconds


def explain(choice: Choice, overhead_percent: float) -> str:
    """Why the interval is what it is, for people."""
    cost = f"a save takes {words.seconds(choice.cost)} from training"
    match choice.reason:
        case "FirstSave":
            return "what a save costs is measured with the first one"
        case "Overhead":
            return f"{cost}, and all of them may lengthen it by {overhead_percent:g}%"
        case "FailureRate":
            return f"{cost}, and something fails every {words.seconds(choice.failures)} (Young, Daly)"
        case "WriteTime":
            return f"a checkpoint takes {words.seconds(choice.write)} to be committed"
        case "Shortest":
            return f"{cost}, and more often is of use only where failures are frequent"
