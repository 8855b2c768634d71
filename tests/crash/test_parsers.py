"""Every parser of stored bytes, fed with what nobody would write: it answers with an error that has a name.

Checksums are made right again where there are any, so that the bytes reach the parser behind them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import example, given
from hypothesis import strategies as st

from helpers.checkpoints import sample_tensors, write_checkpoint
from helpers.logs import digest, info
from sojourn.checkpoint import crc
from sojourn.checkpoint.bundle import decode_index
from sojourn.checkpoint.files import parse_file_set
from sojourn.checkpoint.manifest import Manifest
from sojourn.checkpoint.wire import decode_varint
from sojourn.errors import CorruptData, SojournError
from sojourn.runlog import entries
from sojourn.runlog import state as fold
from sojourn.runlog.codec import from_json, to_json
from sojourn.runlog.entries import MAX_ENTRY_BYTES, Place, decode, encode
from sojourn.runlog.log import RunLog
from sojourn.runlog.reading import from_base
from sojourn.runlog.records import (
    Attempt,
    Body,
    Commit,
    Created,
    Export,
    Fence,
    Pin,
    Recipient,
    Retire,
    Snapshot,
    Takeover,
)
from sojourn.store.memory import MemoryStore

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
TO = Recipient(run_id="r2", run="local/digits-r2")
BODIES: tuple[Body, ...] = (
    Created(run_id="r1", name="digits", start=info(1), carried=(info(2),)),
    Attempt(term=1, attempt_id="a1", info={"workers": 2}),
    Commit(**vars(info(100, metrics={"loss": 0.5})), term=1, attempt_id="a1"),
    Export(version=1, key="export/1", manifest=digest("x"), step=1, formats=("Keras",)),
    Pin(pin_id="p", keys=("data/1",), holder="h", until=WHEN),
    Retire(term=1, keys=("data/1",)),
    Fence(term=1, attempt_id="a1", manifest=digest("x"), step=1, recipient=TO, migration_id="m"),
    Takeover(fence=digest("x"), reason="lost", person="ada", recipient=TO),
    Snapshot(state={"created": {}, "head": {"index": 1, "digest": digest("x")}}),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NUMBERS = st.sampled_from([-1, 0, 1, 2**31, 2**63, 2**64, 10**30, -(10**30)])
NAMES = st.sampled_from(["", "/", "..", "../x", "a/b", "\0", "\ud800", "x" * 5000, "NaN", "blake3:" + "0" * 64])


def _doc(raw: bytes) -> Any:
    return json.loads(raw)


@st.composite
def changed(draw: st.DrawFn, documents: list[Any]) -> Any:
    """One of the documents with up to three values anywhere in it replaced, removed or moved."""
    document = json.loads(json.dumps(draw(st.sampled_from(documents))))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = draw(JSON | NUMBERS | NAMES)
    return document


def _places(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return [(value, key) for key in value] + [place for part in value.values() for place in _places(part)]
    if isinstance(value, list):
        return [(value, key) for key in range(len(value))] + [place for part in value for place in _places(part)]
    return []


def _stored(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode(errors="surrogatepass")


def _entry(document: Any) -> bytes:
    if not isinstance(document, dict):
        return _stored(document)
    rest = _stored({key: value for key, value in document.items() if key != "sum"})[:-1]
    return rest + f',"sum":"{blake3(rest).hexdigest()}"}}'.encode()


ENTRIES = [_doc(encode(body, Place(7, digest("six"), 0), "n", WHEN)[1]) for body in BODIES]


def only_named_errors(parse: Callable[[], object]) -> None:
    with contextlib.suppress(SojournError):
        parse()


@given(changed(ENTRIES))
def test_entries(document: Any) -> None:
    only_named_errors(lambda: decode(_entry(document), 7, "here"))


@given(st.binary(max_size=200))
@example(b"[" * 30_000)
@example(b'{"a":' * 30_000)
@example(b'{"index":' + b"9" * 6000 + b"}")
@example(b"\xff" * 10)
def test_entries_of_any_bytes(data: bytes) -> None:
    only_named_errors(lambda: decode(data, 7, "here"))
    assert isinstance(entries.nonce_of(data), str)


def test_a_file_that_is_too_large_for_an_entry_is_not_parsed() -> None:
    _, data = encode(BODIES[0], Place(0, "", 0), "n", WHEN)
    padded = data.rjust(MAX_ENTRY_BYTES + 1)
    with pytest.raises(CorruptData, match="at most 65536 bytes"):
        decode(padded, 0, "here")
    store = MemoryStore()
    store.put("local/x/log/00000000000000000000.json", padded)
    with pytest.raises(CorruptData, match="at most 65536 bytes"):
        RunLog.open(store, "local/x")


def _states() -> list[Any]:
    entry, _ = encode(BODIES[0], Place(0, "", 0), "n", WHEN)
    state = fold.first(entry)
    after, _ = encode(BODIES[1], Place(1, entry.digest, 0), "n", WHEN)
    return [to_json(fold.apply(state, after))]


@given(changed(_states()))
def test_states_of_snapshots(document: Any) -> None:
    content = ENTRIES[-1] | {"state": document}
    only_named_errors(lambda: from_base(MemoryStore(), "local/x", decode(_entry(content), 7, "here")))


def _checkpoint() -> tuple[bytes, bytes]:
    store = MemoryStore()
    write_checkpoint(store, "run", "data/1-1-u", sample_tensors(1), shards=2)
    return store.read("run/data/1-1-u/manifest.json"), store.read("run/data/1-1-u/ckpt.index")


MANIFEST, INDEX = _checkpoint()


@given(changed([_doc(MANIFEST)]))
def test_manifests(document: Any) -> None:
    data = _stored(document)
    only_named_errors(lambda: Manifest.from_bytes(data, source="here"))
    only_named_errors(lambda: parse_file_set("here", data, f"blake3:{blake3(data).hexdigest()}"))


@given(st.binary(max_size=200))
@example(b"[" * 100_000)
def test_manifests_of_any_bytes(data: bytes) -> None:
    only_named_errors(lambda: Manifest.from_bytes(data, source="here"))
    only_named_errors(lambda: parse_file_set("here", data, f"blake3:{blake3(data).hexdigest()}"))


@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4))
def test_indexes(changes: list[tuple[int, int]]) -> None:
    """The checksum of the first block, which holds the tensors, is made right again."""
    data = bytearray(INDEX)
    block = len(data) - _tail_bytes()
    for place, value in changes:
        data[place % block] = value
    data[block : block + 4] = crc.mask(crc.extend(0, bytes(data[:block]))).to_bytes(4, "little")
    only_named_errors(lambda: decode_index(bytes(data), source="here"))


@given(st.binary(max_size=300))
def test_indexes_of_any_bytes(data: bytes) -> None:
    only_named_errors(lambda: decode_index(data, source="here"))
    only_named_errors(lambda: decode_index(data + INDEX[-48:], source="here"))


def _tail_bytes() -> int:
    """What follows the first block's bytes: its checksum, the other blocks, the footer."""
    footer = INDEX[-48:]
    _, position = decode_varint(footer, 0)
    _, position = decode_varint(footer, position)
    index_offset, _ = decode_varint(footer, position)
    # The block of the (empty) meta index lies in between: 8 bytes and a trailer of 5.
    return len(INDEX) - (index_offset - 13 - 4)


def test_the_tail_was_found() -> None:
    block = len(INDEX) - _tail_bytes()
    assert crc.mask(crc.extend(0, INDEX[:block])).to_bytes(4, "little") == INDEX[block : block + 4]


def test_numbers_that_are_no_numbers() -> None:
    for text in ("1e400", "-1e400", "1" * 5000):
        document = f'{{"version": {text}, "key": "k", "manifest": "m", "step": 1}}'.encode()
        with pytest.raises((ValueError, CorruptData)):
            from_json(Export, json.loads(document))
