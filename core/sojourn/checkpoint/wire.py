"""Protocol buffer wire format, as much of it as TensorFlow's bundle messages use.

Source: https://protobuf.dev/programming-guides/encoding/. The protobuf package is not used because its
generated modules belong to TensorFlow, and one dictionary of field numbers is all that is left of them.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_SIGN_BIT = 1 << 63


class Truncated(ValueError):
    """The bytes end inside a value, or are no value at all."""


def encode_varint(value: int) -> bytes:
    """Base-128 varint; negative numbers take ten bytes, as int64 fields do."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes, position: int) -> tuple[int, int]:
    """Returns the unsigned value and the position after it. Raises Truncated."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise Truncated("bytes end inside a varint")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise Truncated("varint of more than ten bytes")


def as_signed(value: int) -> int:
    """An int64 field's value from the unsigned varint."""
    return value - (1 << 64) if value & _SIGN_BIT else value


def encode_int(field: int, value: int) -> bytes:
    """A varint field; nothing for 0, the default that proto3 leaves out."""
    return encode_varint(field << 3 | VARINT) + encode_varint(value) if value else b""


def encode_fixed32(field: int, value: int) -> bytes:
    return encode_varint(field << 3 | FIXED32) + value.to_bytes(4, "little") if value else b""


def encode_message(field: int, body: bytes) -> bytes:
    return encode_varint(field << 3 | LENGTH) + encode_varint(len(body)) + body


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Every (field number, value): int for numeric fields, bytes for strings and messages. Raises Truncated."""
    position = 0
    while position < len(data):
        tag, position = decode_varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = decode_varint(data, position)
            yield number, value
            continue
        if kind == LENGTH:
            length, position = decode_varint(data, position)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise Truncated(f"unknown wire type {kind}")
        body = data[position : position + length]
        if len(body) != length:
            raise Truncated("bytes end inside a field")
        position += length
        yield number, body if kind == LENGTH else int.from_bytes(body, "little")


def number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise Truncated("a number was expected, a message found")
    return value


def message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Truncated("a message was expected, a number found")
    return value
