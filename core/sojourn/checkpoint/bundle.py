"""TensorFlow's checkpoint V2 bundle: which tensor lies where, in `<prefix>.index`.

Messages: tensorflow/core/protobuf/tensor_bundle.proto. Data files hold the tensors' raw little-endian bytes.
Why a writer of our own: docs/adr/0004-own-bundle-writer.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sojourn.checkpoint import crc, dtypes, wire
from sojourn.checkpoint.table import BLOCK_BYTES, decode_table, encode_table
from sojourn.errors import CorruptData, InvalidInput

PREFIX = "ckpt"
INDEX_FILE = f"{PREFIX}.index"
_HEADER_KEY = b""
# TensorFlow keeps the parts of a partitioned variable under binary keys that begin so.
_SLICE_MARK = b"\0"
_PRODUCER_VERSION = 1
_LITTLE_ENDIAN = 0
_DATA_FILE = re.compile(r"\.data-(\d{5})-of-(\d{5})$")


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one tensor's bytes are: data file number `shard`, `offset` and `length` in bytes; `crc32c` unmasked.

    `sliced` is true for a partitioned variable of TensorFlow's, whose parts lie under keys of their own.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    length: int
    crc32c: int
    sliced: bool = False


@dataclass(frozen=True, slots=True)
class BundleIndex:
    """A decoded index: number of data files, and the tensors in name order."""

    shards: int
    tensors: tuple[TensorEntry, ...]


def data_file(shard: int, shards: int, prefix: str = PREFIX) -> str:
    """Name of data file `shard` of `shards`."""
    return f"{prefix}.data-{shard:05d}-of-{shards:05d}"


def parse_data_file(name: str) -> tuple[int, int]:
    """(shard, shards) from a data file's name. Raises InvalidInput."""
    match = _DATA_FILE.search(name)
    if match is None or int(match[1]) >= int(match[2]):
        raise InvalidInput(
            f"{name!r} is not the name of a checkpoint's data file", hint=f"Names look like {data_file(0, 2)}."
        )
    return int(match[1]), int(match[2])


def encode_index(tensors: Iterable[TensorEntry], shards: int, *, block_bytes: int = BLOCK_BYTES) -> bytes:
    """The bytes of the index file. Raises InvalidInput for a name that is empty, used twice, or begins with NUL."""
    rows = sorted((entry.name.encode(), _encode_entry(entry)) for entry in tensors)
    for (name, _), (following, _) in zip([(_HEADER_KEY, b""), *rows], rows, strict=False):
        if name == following:
            raise InvalidInput(f"two tensors are named {name.decode()!r}" if name else "a tensor has no name")
        if following.startswith(_SLICE_MARK):
            raise InvalidInput(f"a tensor's name begins with a NUL character: {following.decode()!r}")
    version = wire.encode_int(1, _PRODUCER_VERSION)
    header = wire.encode_int(1, shards) + wire.encode_message(3, version)
    return encode_table([(_HEADER_KEY, header), *rows], block_bytes=block_bytes)


def decode_index(data: bytes, *, source: str) -> BundleIndex:
    """Read an index file, TensorFlow's or ours. `source` names it in errors. Raises CorruptData."""
    rows = decode_table(data, source=source)
    if not rows or rows[0][0] != _HEADER_KEY:
        raise CorruptData(f"{source} has no bundle header")
    try:
        shards = _decode_header(rows[0][1], source)
        tensors = tuple(
            _decode_entry(key.decode(), value) for key, value in rows[1:] if not key.startswith(_SLICE_MARK)
        )
    except (wire.Truncated, UnicodeDecodeError) as error:
        raise CorruptData(f"{source} is damaged: {error}") from error
    for tensor in tensors:
        if tensor.shard >= shards:
            raise CorruptData(f"{source}: tensor {tensor.name!r} lies in data file {tensor.shard} of {shards}")
    return BundleIndex(shards, tensors)


def _decode_header(data: bytes, source: str) -> int:
    found = dict(wire.fields(data))
    if wire.number(found.get(2, _LITTLE_ENDIAN)) != _LITTLE_ENDIAN:
        raise CorruptData(f"{source} was written on a big-endian machine, which is not supported")
    return wire.number(found.get(1, 0))


def _encode_entry(entry: TensorEntry) -> bytes:
    shape = b"".join(wire.encode_message(2, wire.encode_int(1, size)) for size in entry.shape)
    return (
        wire.encode_int(1, dtypes.by_name(entry.dtype).number)
        + wire.encode_message(2, shape)
        + wire.encode_int(3, entry.shard)
        + wire.encode_int(4, entry.offset)
        + wire.encode_int(5, entry.length)
        + wire.encode_fixed32(6, crc.mask(entry.crc32c))
    )


def _decode_entry(name: str, data: bytes) -> TensorEntry:
    found: dict[int, int] = {}
    shape: tuple[int, ...] = ()
    sliced = False
    for number, value in wire.fields(data):
        if number == 2:
            shape = tuple(
                _decode_dimension(wire.message(body)) for kind, body in wire.fields(wire.message(value)) if kind == 2
            )
        elif number == 7:
            sliced = True
        else:
            found[number] = wire.number(value)
    return TensorEntry(
        name=name,
        dtype=dtypes.name_of(found.get(1, 0)),
        shape=shape,
        shard=found.get(3, 0),
        offset=found.get(4, 0),
        length=found.get(5, 0),
        crc32c=crc.unmask(found.get(6, 0)),
        sliced=sliced,
    )


def _decode_dimension(data: bytes) -> int:
    return next((wire.as_signed(wire.number(value)) for number, value in wire.fields(data) if number == 1), 0)
