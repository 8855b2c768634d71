"""What the head says of an attempt: events folded into the fields of TrainingAttempt.status. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sojourn import events

Fields = dict[str, Any]

# How long a change may wait since the last report, in seconds: transitions, commits, and (None) progress.
AT_ONCE, SOON = 0.0, 1.0

_KEPT = 20
_LAUNCH_PHASES = 32
_METRICS = 256
_TEXT = 4096
# What a pod that comes after another one of the same attempt goes on from.
_INHERITED = (
    *("commits", "lastCommit", "retired", "exports", "checkpointRequest", "stopped", "failures", "run", "startTime"),
    *("step", "epoch", "totalSteps"),
)
# Requests are "<kind> <token>": a checkpoint that status.checkpointRequest answers, or one for a pod that goes.
CHECKPOINT, LEAVING = "checkpoint", "leaving"


class AttemptReport:
    """The status as it should be. `fields` is what the pods own of it, by JSON names."""

    def __init__(self, before: Mapping[str, Any], prior_failures: int) -> None:
        self.fields: Fields = {name: before[name] for name in _INHERITED if name in before}
        self.fields["phase"] = "Starting"
        self.failure: events.Failed | None = None
        # The status counts this attempt's failures only; those of earlier ones end to count with its first commit.
        self._prior = 0 if self.fields.get("commits") else prior_failures

    @property
    def all_failures(self) -> int:
        """Failures without a commit between them, those of earlier attempts included."""
        return self._prior + int(self.fields.get("failures", 0))

    def apply(self, event: events.Event) -> float | None:
        """Take in an event. Returns how long it may wait to be reported, None: no longer than progress."""
        self._fold(event)
        match event:
            case (
                events.Workers()
                | events.StandingBy()
                | events.Started()
                | events.AttemptFailed()
                | events.Exported()
                | events.Stopping()
            ):
                return AT_ONCE
            case events.Committed():
                return AT_ONCE if event.requests else SOON
            case events.Retired() | events.SaveInterval():
                return SOON
        return None

    def _fold(self, event: events.Event) -> None:  # noqa: PLR0912 (one branch per kind)
        match event:
            case events.Launch():
                self._launched(event)
            case events.Dashboard():
                self._merge("head", dashboardURL=event.url)
            case events.Workers():
                self.fields["workers"] = {"wanted": event.wanted, "ready": event.ready}
            case events.StandingBy():
                self._phase("Standby")
            case events.Started():
                self._started(event)
            case events.Progress():
                self._progress(event)
            case events.EpochEnd():
                self.fields["metrics"] = finite({**self.fields.get("metrics", {}), **event.metrics})
            case events.Committed():
                self._committed(event)
            case events.Retired():
                self.fields["retired"] = [*self.fields.get("retired", ()), *event.checkpoints][-_KEPT:]
            case events.SaveInterval():
                self._save_interval(event)
            case events.AttemptFailed():
                self.fields["failures"] = max(0, event.failures - self._prior)
                self._phase("Starting")
            case events.RolledBack():
                self.fields["step"] = event.to_step
            case events.Exported():
                self._exported(event)
            case events.Stopping():
                self.fields["phase"] = "Stopping"
            case events.Completed() | events.Suspended():
                self.fields["step"] = event.step
            case events.Failed():
                self.failure = event

    def change(self, **fields: Any) -> None:
        """Set whole fields by their JSON names."""
        self.fields.update(fields)

    def answer_stop(self, token: str) -> None:
        """The stop with this token is done: nothing follows what is committed."""
        step = self.fields.get("lastCommit", {}).get("step")
        self.fields["stopped"] = {"token": token} | ({"step": step} if step is not None else {})

    def end(self, phase: str, exit_code: int, reason: str, now: float) -> None:
        """The attempt is at its end; message and hint are those of the failure, if there was one."""
        outcome: Fields = {"exitCode": exit_code, "reason": reason}
        if self.failure is not None:
            outcome["message"] = self.failure.message[:_TEXT]
            outcome["hint"] = self.failure.hint[:_TEXT]
        for name in ("etaSeconds", "samplesPerSecond"):
            self.fields.pop(name, None)
        self.fields |= {"phase": phase, "outcome": outcome, "completionTime": rfc3339(now)}

    def _phase(self, phase: str) -> None:
        if self.fields["phase"] != "Stopping":
            self.fields["phase"] = phase

    def _merge(self, field: str, **parts: Any) -> None:
        self.fields[field] = {**self.fields.get(field, {}), **parts}

    def _launched(self, event: events.Launch) -> None:
        phases = [item for item in self.fields.get("launch", ()) if item["phase"] != event.phase]
        self.fields["launch"] = [*phases, {"phase": event.phase, "seconds": round(event.seconds, 3)}][-_LAUNCH_PHASES:]

    def _started(self, event: events.Started) -> None:
        self._phase("Running")
        self._merge("run", runId=event.run_id, name=event.run, term=event.term)
        self._log_head(event.log_head)
        self.fields |= {"step": event.restored_step or 0, "totalSteps": event.total_steps}
        self.fields["epoch"] = (event.restored_step or 0) // max(1, event.steps_per_epoch)
        self.fields.setdefault("startTime", rfc3339(event.time))

    def _progress(self, event: events.Progress) -> None:
        self.fields |= {"step": event.step, "epoch": event.epoch, "totalSteps": event.total_steps}
        self.fields["metrics"] = finite({**self.fields.get("metrics", {}), "loss": event.loss, **event.metrics})
        for name, value in (("samplesPerSecond", event.samples_per_second), ("etaSeconds", event.eta_seconds)):
            if value is not None and math.isfinite(value):
                self.fields[name] = round(max(0.0, value), 3)
            else:
                self.fields.pop(name, None)

    def _committed(self, event: events.Committed) -> None:
        commit = {
            "step": event.step,
            "epoch": event.epoch,
            "manifest": event.manifest,
            "bytes": event.bytes,
            "time": rfc3339(event.time),
            "metrics": finite(event.metrics),
            "checkpoint": event.checkpoint,
        }
        self._prior = 0
        self.fields |= {"lastCommit": commit, "failures": 0}
        self.fields["commits"] = [*self.fields.get("commits", ()), commit][-_KEPT:]
        self.fields["step"] = max(event.step, self.fields.get("step", 0))
        self._log_head(event.log_head)
        for request in event.requests:
            kind, _, token = request.partition(" ")
            if kind == CHECKPOINT:
                self.fields["checkpointRequest"] = {"token": token, "step": event.step}

    def _save_interval(self, event: events.SaveInterval) -> None:
        self.fields["saveInterval"] = {
            "seconds": round(event.seconds, 3),
            "reason": event.reason,
            "message": event.message,
            "costSeconds": round(event.cost_seconds, 3),
            "writeSeconds": round(event.write_seconds, 3),
        }

    def _exported(self, event: events.Exported) -> None:
        export: Fields = {"version": event.version, "formats": list(event.formats), "step": event.step}
        if event.manifest:
            export["manifest"] = event.manifest
        self.fields["exports"] = [*self.fields.get("exports", ()), export][-_KEPT:]

    def _log_head(self, digest: str) -> None:
        if digest:
            self._merge("run", logHead=digest)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those metrics that JSON can hold, at most as many as the status takes."""
    good = [(name, float(value)) for name, value in metrics.items() if math.isfinite(value)]
    return dict(good[:_METRICS])


def rfc3339(seconds: float) -> str:
    """Unix seconds as Kubernetes writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Fields:
    """The JSON merge patch (RFC 7386) that makes `old` into `new`; {} if they are equal."""
    patch: Fields = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            if inner:
                patch[name] = inner
        elif name not in old or before != value:
            patch[name] = value
    return patch
