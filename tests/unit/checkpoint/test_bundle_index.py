"""The index of a bundle: entries survive, wrong ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.checkpoint import crc
from sojourn.checkpoint.bundle import TensorEntry, data_file, decode_index, encode_index, parse_data_file
from sojourn.checkpoint.dtypes import ELEMENT_TYPES, by_name, name_of
from sojourn.errors import CorruptData, InvalidInput

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
ENTRIES = st.builds(
    TensorEntry,
    name=NAMES,
    dtype=st.sampled_from([kind.name for kind in ELEMENT_TYPES]),
    shape=st.lists(st.integers(0, 2**40), max_size=5).map(tuple),
    shard=st.integers(0, 2),
    offset=st.integers(0, 2**50),
    length=st.integers(0, 2**50),
    crc32c=st.integers(0, 2**32 - 1),
)


@given(st.lists(ENTRIES, unique_by=lambda entry: entry.name, max_size=20), st.integers(1, 500))
def test_round_trip(entries: list[TensorEntry], block_bytes: int) -> None:
    index = decode_index(encode_index(entries, 3, block_bytes=block_bytes), source="i")
    assert index.shards == 3
    assert list(index.tensors) == sorted(entries, key=lambda entry: entry.name.encode())


def entry(name: str, shard: int = 0) -> TensorEntry:
    return TensorEntry(name, "float32", (), shard, 0, 4, 0)


def test_names_are_unique_and_say_something() -> None:
    with pytest.raises(InvalidInput, match="two tensors are named 'a'"):
        encode_index([entry("a"), entry("a")], 1)
    with pytest.raises(InvalidInput, match="has no name"):
        encode_index([entry("")], 1)
    with pytest.raises(InvalidInput, match="NUL"):
        encode_index([entry("\0a")], 1)


def test_a_tensor_in_a_file_that_does_not_exist_is_damage() -> None:
    with pytest.raises(CorruptData, match="lies in data file 4 of 2"):
        decode_index(encode_index([entry("a", 4)], 2), source="i")


def test_data_file_names() -> None:
    assert data_file(3, 12) == "ckpt.data-00003-of-00012"
    assert parse_data_file("run/data/1/ckpt.data-00003-of-00012") == (3, 12)
    for wrong in ("ckpt.data-00002-of-00002", "ckpt.index", "ckpt.data-1-of-2"):
        with pytest.raises(InvalidInput):
            parse_data_file(wrong)


def test_element_types() -> None:
    assert by_name("bfloat16").numpy.itemsize == 2
    assert name_of(7) == "dtype 7"
    with pytest.raises(InvalidInput, match="'string' cannot be stored"):
        by_name("string")


@given(st.integers(0, 2**32 - 1))
def test_the_mask_of_a_checksum_comes_off(value: int) -> None:
    assert crc.unmask(crc.mask(value)) == value


def test_crc32c_known_value() -> None:
    # RFC 3720, B.4: 32 bytes of zeroes.
    assert crc.extend(0, bytes(32)) == 0x8A9136AA
