"""What a training run tells while it runs, as one JSON object per line.

The node process writes these lines to its standard output; the command line, notebooks and the operator read them.
Both sides may be of different versions: unknown kinds and fields are skipped, missing fields take their defaults.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `time` is in seconds since the Unix epoch; `event`, the kind, is the class's name."""

    event: ClassVar[str] = ""
    time: float


class _Field(NamedTuple):
    name: str
    kind: Any
    required: bool


_KINDS: dict[str, type[Event]] = {}
_FIELDS: dict[str, tuple[_Field, ...]] = {}
_E = TypeVar("_E", bound=type[Event])


def _kind(cls: _E) -> _E:
    """Enter a class of events into the codec's tables."""
    hints = get_type_hints(cls)
    cls.event = cls.__name__
    _KINDS[cls.event] = cls
    _FIELDS[cls.event] = tuple(
        _Field(f.name, hints[f.name], f.default is MISSING and f.default_factory is MISSING) for f in fields(cls)
    )
    return cls


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Launch(Event):
    """A part of the start is done: `phase` names it (such as "ray" or "tensorflow"), `seconds` is how long it took."""

    phase: str
    seconds: float


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard(Event):
    """Ray's dashboard answers at `url`."""

    url: str


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Workers(Event):
    """So many of the machines that are to train together are part of the Ray cluster."""

    ready: int
    wanted: int


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class StandingBy(Event):
    """All workers are ready to train, and wait for the run to be handed to them."""


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """An attempt begins to train, from `restored_step` or, where that is None, from the initial weights.

    `log_head` is the digest of the newest entry of the run's log.
    """

    run: str
    run_id: str
    attempt: str
    term: int
    restored_step: int | None = None
    workers: int
    strategy: str
    steps_per_epoch: int
    total_steps: int
    epochs: int
    log_head: str = ""


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """Where training stands. `loss` and `metrics` are the running means of the epoch; the first epoch is 0."""

    step: int
    epoch: int
    total_steps: int
    loss: float
    metrics: Metrics = field(default_factory=dict)
    samples_per_second: float | None = None
    eta_seconds: float | None = None
    seconds_since_commit: float | None = None


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnd(Event):
    """Epoch number `epoch` (from 0) is over; `metrics` holds its loss and metrics, those of validation with `val_`."""

    epoch: int
    step: int
    metrics: Metrics = field(default_factory=dict)


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Committed(Event):
    """A checkpoint exists from now on. `seconds` is the whole save, `stall_seconds` what training waited for it.

    `manifest` and `log_head` are digests, of the checkpoint's manifest and of the log's newest entry; `requests` are
    the tokens of the requests that it answers.
    """

    step: int
    bytes: int
    seconds: float
    stall_seconds: float
    checkpoint: str
    epoch: int = 0
    manifest: str = ""
    metrics: Metrics = field(default_factory=dict)
    log_head: str = ""
    requests: tuple[str, ...] = ()


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Retired(Event):
    """These checkpoints do not exist any more; their files are being deleted."""

    checkpoints: tuple[str, ...]


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFailed(Event):
    """A checkpoint could not be written; training goes on."""

    step: int
    error: str
    will_retry: bool = False


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSkipped(Event):
    """A checkpoint was due and not made, such as because the one before was still being written."""

    step: int
    reason: str


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class SaveInterval(Event):
    """With `every.auto`: from now on a checkpoint is made every `seconds`.

    `cost_seconds` is what a save takes away from training, `write_seconds` how long it takes to be committed; both are
    0 before the first. `reason` is FirstSave, Overhead, FailureRate, WriteTime or Shortest; `message` is for people.
    """

    seconds: float
    reason: str
    message: str
    cost_seconds: float = 0.0
    write_seconds: float = 0.0
    overhead_percent: float = 0.0
    failure_seconds: float | None = None


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(Event):
    """An attempt was lost; `failures` in a row without a new commit are counted against `backoff_limit`."""

    attempt: str
    error: str
    failures: int
    backoff_limit: int


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack(Event):
    """Training goes back from one step to the commit of an earlier one."""

    from_step: int
    to_step: int
    reason: str


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Event):
    """The model was written as `version` in `formats`. `manifest` is the digest of the export's manifest."""

    version: int
    formats: tuple[str, ...]
    seconds: float
    step: int = 0
    manifest: str = ""


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Event):
    """The run reached its last step. `seconds` is the time from the start of this process."""

    step: int
    epoch: int
    metrics: Metrics = field(default_factory=dict)
    seconds: float


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping(Event):
    """Somebody asked to stop: a checkpoint follows at the next step boundary, then the end."""

    reason: str


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended(Event):
    """Training stopped on request, and everything up to `step` is committed."""

    step: int
    reason: str


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """The run ends without success; the process ends with `exit_code`. `reason` is the error's kind, in one word."""

    message: str
    hint: str = ""
    exit_code: int = 1
    reason: str = ""


@_kind
@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Event):
    """Anything else worth reading. `level` is "info", "warning" or "error"."""

    level: str
    text: str


def kinds() -> tuple[str, ...]:
    """Names of all kinds of events that this version knows."""
    return tuple(_KINDS)


def encode(event: Event) -> str:
    """One line of JSON without the line break. NaN and infinities become strings, as in protobuf's JSON form."""
    data = {_camel(known.name): _plain(getattr(event, known.name)) for known in _FIELDS[event.event]}
    data = {"event": event.event, **data}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def decode(line: str) -> Event | None:
    """The event of a line, or None where the line is not one that this version understands."""
    try:
        data = json.loads(line)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    cls = _KINDS.get(str(data.get("event")))
    if cls is None:
        return None
    values: dict[str, Any] = {}
    for name, kind, required in _FIELDS[cls.event]:
        key = _camel(name)
        if key not in data:
            if required:
                return None
            continue
        try:
            values[name] = _typed(data[key], kind)
        except (TypeError, ValueError):
            return None
    return cls(**values)


@cache
def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _plain(value: object) -> object:
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
    return value


def _typed(value: Any, kind: Any) -> Any:
    """The value as `kind`; raises TypeError or ValueError where it is something else."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        if value is None:
            return None
        return _typed(value, next(arg for arg in get_args(kind) if arg is not NoneType))
    if origin is tuple:
        return tuple(_typed(item, get_args(kind)[0]) for item in value)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected an object, not {type(value).__name__}")
        return {str(key): _typed(item, float) for key, item in value.items()}
    if kind is float and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
