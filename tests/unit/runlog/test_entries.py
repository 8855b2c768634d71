from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from blake3 import blake3

from helpers.logs import digest, info
from sojourn.errors import CorruptData, InvalidInput
from sojourn.runlog.entries import Head, Place, decode, encode, entry_key, is_digest, nonce_of
from sojourn.runlog.errors import UnsupportedLog
from sojourn.runlog.records import Attempt, Commit, Pin

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = Place(7, digest("six"), 0)


def _commit(**fields: Any) -> Commit:
    return Commit(**{**vars(info(100, metrics={"loss": 0.5})), "term": 2, "attempt_id": "a2", **fields})


def test_an_entry_as_it_is_stored() -> None:
    entry, data = encode(_commit(), PLACE, "nonce-1", WHEN)
    assert json.loads(data) == {
        "type": "commit",
        "index": 7,
        "time": "2026-01-01T00:00:00.000000Z",
        "prev": digest("six"),
        "nonce": "nonce-1",
        "snapshot": 0,
        "step": 100,
        "checkpoint": "data/100-u",
        "manifest": digest("data/100-u"),
        "metrics": {"loss": 0.5},
        "term": 2,
        "attemptId": "a2",
        "sum": blake3(data[: data.index(b',"sum"')]).hexdigest(),
    }
    assert entry.digest == f"blake3:{blake3(data).hexdigest()}"
    assert (entry.type, entry.index, entry.body.time, entry.head) == ("commit", 7, WHEN, Head(7, entry.digest))
    assert decode(data, 7, "here") == entry
    assert nonce_of(data) == "nonce-1"


def test_keys_sort_as_the_entries_do() -> None:
    assert entry_key("local/digits-x", 12) == "local/digits-x/log/00000000000000000012.json"


def test_an_entry_has_at_most_64_kib() -> None:
    with pytest.raises(InvalidInput, match="65536"):
        encode(_commit(metrics={f"metric-{number}": 0.1 for number in range(4000)}), PLACE, "n", WHEN)
    with pytest.raises(InvalidInput, match="65536"):
        encode(Attempt(term=1, attempt_id="a", info={"x": "y" * 65536}), PLACE, "n", WHEN)


def test_every_flipped_bit_of_an_entry_is_found_or_harmless() -> None:
    """Also of the newest, whose bytes no later entry vouches for."""
    entry, data = encode(_commit(), PLACE, "nonce-1", WHEN)
    harmless = 0
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        try:
            found = decode(bytes(flipped), 7, "here")
        except CorruptData:
            continue
        assert place // 8 >= data.index(b',"sum"')
        assert (found.body, found.nonce, found.prev) == (entry.body, entry.nonce, entry.prev)
        harmless += 1
    assert harmless < 8 * 80


def test_entries_from_before_there_was_a_sum_are_read() -> None:
    entry, data = encode(_commit(), PLACE, "nonce-1", WHEN)
    old = data[: data.index(b',"sum"')] + b"}"
    assert decode(old, 7, "here").body == entry.body


def _change(**fields: Any) -> bytes:
    _, data = encode(Pin(pin_id="p", keys=("data/1",), holder="h"), PLACE, "n", WHEN)
    content = json.loads(data) | fields | {"sum": "-"}
    return json.dumps({name: value for name, value in content.items() if value != "-"}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b"\xff\xfe",
        _change(index=8),
        _change(index="7"),
        _change(prev=3),
        _change(nonce="-"),
        _change(snapshot=None),
        _change(type=["pin"]),
        _change(keys="data/1"),
        _change(holder="-"),
        _change(time="noon"),
    ],
)
def test_what_is_no_entry_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptData, match="store/log/7 is not a readable log entry"):
        decode(data, 7, "store/log/7")


def test_entries_of_a_newer_version_stop_an_older_one() -> None:
    with pytest.raises(UnsupportedLog, match="'seal'"):
        decode(_change(type="seal"), 7, "here")
    with pytest.raises(UnsupportedLog):
        decode(_change(format=2), 7, "here")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'"nonce"', b"\xff"])
def test_what_is_no_entry_has_nobodys_nonce(data: bytes) -> None:
    assert nonce_of(data) == ""


def test_heads_as_text() -> None:
    head = Head(12, digest("x"))
    assert Head.parse(str(head)) == head
    for text in (
        "",
        "12",
        f"x:{digest('x')}",
        f"12:{digest('x')[:-1]}",
        f"-1:{digest('x')}",
        f"12:{digest('x').upper()}",
    ):
        with pytest.raises(InvalidInput, match="not a log head"):
            Head.parse(text)
    assert not is_digest("sha256:" + "0" * 64)
