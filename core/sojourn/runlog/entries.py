"""One numbered JSON file of a run's log: its name, its bytes, its place in the chain."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blake3 import blake3

from sojourn.errors import CorruptData, InvalidInput
from sojourn.runlog import records
from sojourn.runlog.codec import from_json, parse, to_json
from sojourn.runlog.errors import UnsupportedLog

MAX_ENTRY_BYTES = 64 << 10

_TYPES: dict[str, type[records.Body]] = {
    "created": records.Created,
    "attempt": records.Attempt,
    "commit": records.Commit,
    "export": records.Export,
    "pin": records.Pin,
    "unpin": records.Unpin,
    "retire": records.Retire,
    "fence": records.Fence,
    "takeover": records.Takeover,
    "snapshot": records.Snapshot,
}
_NAMES = {cls: name for name, cls in _TYPES.items()}
_SUM = re.compile(rb',"sum":"(?P<hex>[0-9a-f]{64})"\}\Z')


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a log, by number and digest. As text: "<index>:blake3:<hex>"."""

    index: int
    digest: str

    def __str__(self) -> str:
        return f"{self.index}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Raises InvalidInput for anything but the text form."""
        index, _, digest = text.partition(":")
        if not index.isdecimal() or not is_digest(digest):
            raise InvalidInput(f"{text!r} is not a log head", hint="It reads <index>:blake3:<hex>, as in `history`.")
        return cls(int(index), digest)


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded entry: what it says, the writer's nonce, the index of the newest snapshot before it, its digest."""

    body: records.Body
    nonce: str
    prev: str
    snapshot: int
    digest: str

    @property
    def index(self) -> int:
        return self.body.index

    @property
    def type(self) -> str:
        return _NAMES[type(self.body)]

    @property
    def head(self) -> Head:
        return Head(self.index, self.digest)


@dataclass(frozen=True, slots=True)
class _Envelope:
    type: str
    index: int
    time: datetime
    prev: str
    nonce: str
    snapshot: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the log an entry is to stand."""

    index: int
    prev: str
    snapshot: int


def entry_key(prefix: str, index: int) -> str:
    """Key of entry `index` of the run at `prefix`."""
    return f"{prefix}/log/{index:020}.json"


def is_digest(text: str) -> bool:
    """Whether `text` is "blake3:" and 64 lower-case hexadecimal digits."""
    return len(text) == 71 and text.startswith("blake3:") and set(text[7:]) <= set("0123456789abcdef")


def digest_of(data: bytes) -> str:
    """`blake3:<hex>` of `data`."""
    return f"blake3:{blake3(data).hexdigest()}"


def encode(body: records.Body, place: Place, nonce: str, time: datetime) -> tuple[Entry, bytes]:
    """The entry that says `body` at `place`, and its bytes. Raises InvalidInput if it is too large."""
    envelope = _Envelope(_NAMES[type(body)], place.index, time, place.prev, nonce, place.snapshot)
    data = _with_sum(canonical(to_json(body) | to_json(envelope)))
    if len(data) > MAX_ENTRY_BYTES:
        raise InvalidInput(
            f"a log entry may have {MAX_ENTRY_BYTES} bytes, and this {_NAMES[type(body)]} entry has {len(data)}",
            hint="Record fewer metrics, or less information about the attempt.",
        )
    # What the writer goes on with is what every reader will see.
    return decode(data, place.index, f"the new entry {place.index}"), data


def decode(data: bytes, index: int, where: str) -> Entry:
    """The entry stored as `data` at `where`.

    Raises:
        CorruptData: the bytes are not entry `index`.
        UnsupportedLog: a newer Sojourn wrote it.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise CorruptData(f"{where} is larger than a log entry, which has at most {MAX_ENTRY_BYTES} bytes")
    _check_sum(data, where)
    try:
        content = parse(data)
        envelope = from_json(_Envelope, content)
        if envelope.type not in _TYPES or content.get("format", 1) != 1:
            raise UnsupportedLog(
                f"{where} is an entry of a kind that this version does not know ({envelope.type!r})",
                hint="A newer Sojourn wrote it: update this one.",
            )
        if envelope.index != index:
            raise ValueError(f"it says that it is entry {envelope.index}")
        body: records.Body = from_json(_TYPES[envelope.type], content)
    except ValueError as error:
        raise CorruptData(f"{where} is not a readable log entry: {error}") from error
    return Entry(body, envelope.nonce, envelope.prev, envelope.snapshot, digest_of(data))


def _with_sum(data: bytes) -> bytes:
    """The object with a last member that is the BLAKE3 of all bytes before it.

    The next entry's `prev` holds an entry to its bytes; nothing else does as long as it is the newest.
    """
    rest = data[:-1]
    return rest + f',"sum":"{blake3(rest).hexdigest()}"}}'.encode()


def _check_sum(data: bytes, where: str) -> None:
    # Entries that were written before there was a sum have none, and `prev` alone.
    found = _SUM.search(data)
    if found and blake3(data[: found.start()]).hexdigest().encode() != found["hex"]:
        raise CorruptData(
            f"{where} does not match the checksum in it",
            hint="It was changed after it was written. Look for a copy of the run in another store.",
        )


def nonce_of(data: bytes) -> str:
    """The nonce in an entry's bytes, or "" if they are no entry (so nobody's own)."""
    try:
        return str(parse(data)["nonce"])
    except (ValueError, KeyError, TypeError):
        return ""


def canonical(content: Any) -> bytes:
    """The one way in which logs write JSON."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
