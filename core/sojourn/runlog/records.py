"""What the entries of a run's log say, one frozen dataclass per type of entry.

`index` and `time` are those of the entry; the log fills them in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every entry has: its number in the log, and when its writer says that he wrote it (for people only)."""

    index: int = -1
    time: datetime = EPOCH


@dataclass(frozen=True, kw_only=True)
class CommitInfo:
    """A checkpoint, as the attempt that wrote it describes it.

    Args:
        step: optimizer steps made when it was taken.
        checkpoint: key of its folder, relative to the run: "data/<step>-<term>-<uuid>".
        manifest: "blake3:<hex>" of its manifest.json.
        epoch: passes over the data completed or begun.
        samples: samples seen since the run's first step.
        bytes: size of all its files.
        metrics: what was measured at that step.
        wall_seconds: time trained since the run's first step.
        run: prefix of the run whose folder holds it, if that is not this run's own.
    """

    step: int
    checkpoint: str
    manifest: str
    epoch: int = 0
    samples: int = 0
    bytes: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    run: str = ""

    def location(self, prefix: str) -> str:
        """Key of the checkpoint's folder within the store, for the run at `prefix`."""
        return f"{self.run or prefix}/{self.checkpoint}"


@dataclass(frozen=True, kw_only=True)
class ExportInfo:
    """A model that was written from a checkpoint: key "export/<version>", relative to the run."""

    version: int
    key: str
    manifest: str
    step: int
    formats: tuple[str, ...] = ()
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class KeepBest:
    """The metric by which commits compare, and whether more or less of it is better."""

    metric: str
    mode: Literal["Max", "Min"]


@dataclass(frozen=True, kw_only=True)
class Parent:
    """Where a run came from.

    Args:
        store: URI of the parent's store.
        run: the parent's prefix in it.
        run_id: the parent's id.
        fence: digest of the fence entry that handed the run over; "" where nothing was handed over (restoreFrom).
        term: the parent's term, from which this run's terms go on.
        commit: the parent's commit that this run starts from.
    """

    store: str
    run: str
    run_id: str
    fence: str = ""
    term: int = 0
    commit: CommitInfo | None = None


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Who goes on with a run: the child run, its store, and its cluster ("" where there is none)."""

    run_id: str
    run: str = ""
    store: str = ""
    cluster: str = ""


@dataclass(frozen=True, kw_only=True)
class Created(Record):
    """Entry 0, which makes a run exist with all that it brings along.

    Args:
        start: a checkpoint that is complete in this store already: the one from which the run goes on.
        carried: older checkpoints of the parent that came along, in the order of its log.
        exports: exports of the parent that came along.
    """

    run_id: str
    name: str
    namespace: str = "local"
    spec_digest: str = ""
    job_digest: str = ""
    keep_best: KeepBest | None = None
    parent: Parent | None = None
    start: CommitInfo | None = None
    carried: tuple[CommitInfo, ...] = ()
    exports: tuple[ExportInfo, ...] = ()
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Attempt(Record):
    """A worker group starts; attempts of lower terms can no longer commit."""

    term: int
    attempt_id: str
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Commit(CommitInfo, Record):
    """A checkpoint exists from here on."""

    term: int
    attempt_id: str


@dataclass(frozen=True, kw_only=True)
class Export(ExportInfo, Record):
    """An export exists from here on."""


@dataclass(frozen=True, kw_only=True)
class Pin(Record):
    """A reader holds checkpoints or exports (`keys`, relative to the run), until a time or, with None, for good."""

    pin_id: str
    keys: tuple[str, ...]
    holder: str
    until: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        """Whether the pin has not expired by `now`."""
        return self.until is None or self.until > now


@dataclass(frozen=True, kw_only=True)
class Unpin(Record):
    """The reader is done."""

    pin_id: str


@dataclass(frozen=True, kw_only=True)
class Retire(Record):
    """Checkpoints or exports that no longer exist for anybody; the deletion of their files follows."""

    term: int
    keys: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Fence(Record):
    """The run ends here and goes on at `recipient`, from the commit with that manifest ("": from its beginning)."""

    term: int
    attempt_id: str
    manifest: str
    step: int
    recipient: Recipient
    migration_id: str


@dataclass(frozen=True, kw_only=True)
class Takeover(Record):
    """A person overrides the fence with that digest. The run goes on here if `recipient` is the run itself."""

    fence: str
    reason: str
    person: str
    recipient: Recipient


@dataclass(frozen=True, kw_only=True)
class Snapshot(Record):
    """The state up to the entry before: inline, or in the file `key` with that digest if it is large."""

    state: dict[str, Any] | None = None
    key: str = ""
    digest: str = ""


Body = Created | Attempt | Commit | Export | Pin | Unpin | Retire | Fence | Takeover | Snapshot
