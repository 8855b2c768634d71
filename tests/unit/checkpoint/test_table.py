"""The index table: what goes in comes out, whatever the number of blocks, and damage shows."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.checkpoint.table import decode_table, encode_table
from sojourn.errors import CorruptData

ITEMS = st.dictionaries(st.binary(max_size=40), st.binary(max_size=60), max_size=60).map(
    lambda found: sorted(found.items())
)


@given(ITEMS, st.integers(1, 400))
def test_round_trip(items: list[tuple[bytes, bytes]], block_bytes: int) -> None:
    assert decode_table(encode_table(items, block_bytes=block_bytes), source="t") == items


def test_shared_prefixes_are_stored_once() -> None:
    items = [(b"model/a_long_common_prefix/%04d" % number, b"v") for number in range(1000)]
    assert len(encode_table(items)) < 15_000


@given(st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(data: st.DataObject) -> None:
    items = [(b"key %03d" % number, bytes([number]) * 9) for number in range(50)]
    table = bytearray(encode_table(items, block_bytes=128))
    table[data.draw(st.integers(0, len(table) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(CorruptData):
        assert decode_table(bytes(table), source="t") == items


@given(st.integers(0, 3000))
def test_a_truncated_table_is_refused(length: int) -> None:
    table = encode_table([(b"key %03d" % number, b"x" * 50) for number in range(50)], block_bytes=256)
    with pytest.raises(CorruptData):
        decode_table(table[: min(length, len(table) - 1)], source="t")


@given(st.binary(max_size=300))
def test_any_bytes_before_a_footer_give_an_answer_or_corrupt_data(noise: bytes) -> None:
    footer = encode_table([])[-8:]
    with contextlib.suppress(CorruptData):
        decode_table(noise + footer, source="t")
