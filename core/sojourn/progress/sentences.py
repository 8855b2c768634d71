"""One sentence per event: the wording that plain lines and the live view's log share."""

from __future__ import annotations

from typing import Literal

from sojourn import events
from sojourn.progress import words

Tone = Literal["info", "good", "warning", "error", "muted"]


def sentence(event: events.Event) -> tuple[Tone, str]:  # noqa: PLR0911, PLR0912 (one branch per kind)
    """How much the event matters, and what to say about it. Progress has its own form in each display."""
    match event:
        case events.Launch():
            return "muted", f"launch: {event.phase}, {words.seconds(event.seconds)}"
        case events.Dashboard():
            return "muted", f"Ray dashboard at {event.url}"
        case events.Workers():
            return "muted", f"{event.ready} of {words.plural(event.wanted, 'machine')} joined"
        case events.StandingBy():
            return "info", "ready to train; waiting for the run"
        case events.Started():
            return "info", _started(event)
        case events.Progress():
            return "info", progress_sentence(event, None)
        case events.EpochEnd():
            said = words.metrics(event.metrics)
            return "info", f"epoch {event.epoch + 1} ended at step {words.count(event.step)}" + (said and f": {said}")
        case events.Committed():
            said = f"committed step {words.count(event.step)}: {words.size(event.bytes)}{_within(event.seconds)}"
            waited = words.seconds(event.stall_seconds)
            return "good", said if waited == words.UNKNOWN else f"{said}, training waited {waited}"
        case events.Retired():
            return "muted", f"retired {words.plural(len(event.checkpoints), 'checkpoint')}"
        case events.SaveFailed():
            then = "will be tried again" if event.will_retry else "training goes on without it"
            return "warning", f"save of step {words.count(event.step)} failed ({then}): {event.error}"
        case events.SaveSkipped():
            return "warning", f"save of step {words.count(event.step)} skipped: {event.reason}"
        case events.SaveInterval():
            return "muted", f"saving every {words.seconds(event.seconds)}: {event.message}"
        case events.AttemptFailed():
            return "error", (
                f"attempt {words.short_id(event.attempt)} failed "
                f"({event.failures} without a commit, limit {event.backoff_limit}): {event.error}"
            )
        case events.RolledBack():
            return "warning", (
                f"rolled back from step {words.count(event.from_step)} to {words.count(event.to_step)}: {event.reason}"
            )
        case events.Exported():
            return "good", (f"exported version {event.version} as {', '.join(event.formats)}{_within(event.seconds)}")
        case events.Completed():
            said = words.metrics(event.metrics)
            return "good", (
                f"completed {words.count(event.step)} steps in {words.seconds(event.seconds)}" + (said and f": {said}")
            )
        case events.Stopping():
            return "muted", f"stopping at the next step boundary: {event.reason}"
        case events.Suspended():
            return "warning", f"suspended at step {words.count(event.step)}, all of it committed: {event.reason}"
        case events.Failed():
            return "error", f"failed: {event.message}" + (event.hint and f"\n{event.hint}")
        case events.Message():
            tones: dict[str, Tone] = {"warning": "warning", "error": "error"}
            return tones.get(event.level, "info"), event.text
    return "muted", event.event


def progress_sentence(event: events.Progress, started: events.Started | None) -> str:
    """Where training stands, with absolute figures, in one line."""
    total = event.total_steps
    share = f" ({100 * event.step / total:.0f}%)" if total else ""
    epoch = f"{min(event.epoch + 1, started.epochs)}/{started.epochs}" if started else str(event.epoch + 1)
    parts = [
        f"step {words.count(event.step)}/{words.count(total)}{share}",
        f"epoch {epoch}",
        f"loss {words.metric(event.loss)}",
    ]
    if event.metrics:
        parts.append(words.metrics(event.metrics))
    if event.samples_per_second is not None:
        parts.append(f"{words.rate(event.samples_per_second)} samples/s")
    if event.eta_seconds is not None:
        parts.append(f"{words.whole_seconds(event.eta_seconds)} left")
    if event.seconds_since_commit is not None:
        parts.append(f"{words.whole_seconds(event.seconds_since_commit)} since the last commit")
    return ", ".join(parts)


def _within(value: float) -> str:
    """How long something took, where that is known: whoever watches from afar may see only the result."""
    said = words.seconds(value)
    return "" if said == words.UNKNOWN else f" in {said}"


def _started(event: events.Started) -> str:
    origin = (
        "from the initial weights" if event.restored_step is None else f"from step {words.count(event.restored_step)}"
    )
    return (
        f"{event.run}: attempt {words.short_id(event.attempt)} (term {event.term}) trains {origin} to step "
        f"{words.count(event.total_steps)}, {words.plural(event.workers, 'worker')}, {event.strategy}"
    )
