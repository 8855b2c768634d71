"""What is known about a run after the events so far: a pure fold, shared by every display and by notebooks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sojourn import events

LOSSES_KEPT = 512


@dataclass(frozen=True, slots=True)
class RunView:
    """The picture of a run. `state` is one of launching, training, restarting, completed, suspended, failed."""

    state: str = "launching"
    launched: tuple[events.Launch, ...] = ()
    dashboard: str = ""
    started: events.Started | None = None
    attempts: int = 0
    progress: events.Progress | None = None
    committed: events.Committed | None = None
    committed_at: float | None = None
    losses: tuple[float, ...] = ()
    end: events.Completed | events.Suspended | events.Failed | None = None

    @property
    def step(self) -> int:
        """The last step that was heard of."""
        known = (self.progress.step if self.progress else 0, self.committed.step if self.committed else 0)
        if isinstance(self.end, events.Completed | events.Suspended):
            return self.end.step
        return max(*known, (self.started.restored_step or 0) if self.started else 0)

    @property
    def total_steps(self) -> int:
        """The step at which the run completes, 0 while that is not known."""
        if self.progress:
            return self.progress.total_steps
        return self.started.total_steps if self.started else 0


def advance(view: RunView, event: events.Event) -> RunView:  # noqa: PLR0911 (one branch per kind)
    """The view after one more event."""
    match event:
        case events.Launch():
            return replace(view, launched=(*view.launched, event))
        case events.Dashboard():
            return replace(view, dashboard=event.url)
        case events.Started():
            return replace(view, state="training", started=event, attempts=view.attempts + 1, progress=None)
        case events.Progress():
            return replace(
                view,
                state="training",
                progress=event,
                losses=(*view.losses, event.loss)[-LOSSES_KEPT:],
                committed_at=_commit_time(view, event),
            )
        case events.Committed():
            return replace(view, committed=event, committed_at=event.time)
        case events.AttemptFailed():
            return replace(view, state="restarting")
        case events.RolledBack():
            return replace(view, progress=None)
        case events.Completed():
            return replace(view, state="completed", end=event)
        case events.Suspended():
            return replace(view, state="suspended", end=event)
        case events.Failed():
            return replace(view, state="failed", end=event)
    return view


def _commit_time(view: RunView, progress: events.Progress) -> float | None:
    """A watcher that came late did not see the commit, but the progress says how long ago it was."""
    if view.committed_at is not None or progress.seconds_since_commit is None:
        return view.committed_at
    return progress.time - progress.seconds_since_commit
