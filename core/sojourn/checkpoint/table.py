"""The sorted table in which TensorFlow keeps a bundle's index: LevelDB's table format, uncompressed.

Format: https://github.com/google/leveldb/blob/main/doc/table_format.md. Keys must be unique and ascending.
"""

from __future__ import annotations

from collections.abc import Iterable

from sojourn.checkpoint import crc
from sojourn.checkpoint.wire import Truncated, decode_varint, encode_varint
from sojourn.errors import CorruptData

MAGIC = 0xDB4775248B80FB57
BLOCK_BYTES = 256 * 1024
_RESTART_INTERVAL = 16
_FOOTER_BYTES = 48
_HANDLES_BYTES = 40
_TRAILER_BYTES = 5
_UNCOMPRESSED = 0


class _BlockBuilder:
    """One block: entries that share prefixes with their neighbours, then the offsets where sharing restarts."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._restarts: list[int] = []
        self._count = 0
        self.last_key = b""

    def __len__(self) -> int:
        return len(self._data)

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count % _RESTART_INTERVAL == 0:
            self._restarts.append(len(self._data))
        else:
            limit = min(len(key), len(self.last_key))
            while shared < limit and key[shared] == self.last_key[shared]:
                shared += 1
        suffix = key[shared:]
        self._data += encode_varint(shared) + encode_varint(len(suffix)) + encode_varint(len(value)) + suffix + value
        self._count += 1
        self.last_key = key

    def finish(self) -> bytes:
        """The block with its trailer: compression type and masked CRC."""
        restarts = self._restarts or [0]
        body = bytes(self._data)
        body += b"".join(offset.to_bytes(4, "little") for offset in [*restarts, len(restarts)])
        typed = body + bytes([_UNCOMPRESSED])
        return typed + crc.mask(crc.extend(0, typed)).to_bytes(4, "little")


def encode_table(items: Iterable[tuple[bytes, bytes]], *, block_bytes: int = BLOCK_BYTES) -> bytes:
    """The table's bytes, for (key, value) pairs in ascending key order."""
    out = bytearray()
    index = _BlockBuilder()

    def append(block: bytes) -> bytes:
        handle = encode_varint(len(out)) + encode_varint(len(block) - _TRAILER_BYTES)
        out.extend(block)
        return handle

    block = _BlockBuilder()
    for key, value in items:
        block.add(key, value)
        if len(block) >= block_bytes:
            index.add(block.last_key, append(block.finish()))
            block = _BlockBuilder()
    if len(block):
        index.add(block.last_key, append(block.finish()))
    handles = append(_BlockBuilder().finish()) + append(index.finish())
    return bytes(out) + handles.ljust(_HANDLES_BYTES, b"\0") + MAGIC.to_bytes(8, "little")


def decode_table(data: bytes, *, source: str) -> list[tuple[bytes, bytes]]:
    """All (key, value) pairs in order.

    Args:
        data: the whole table.
        source: what to call it in errors.

    Raises:
        CorruptData: it is not such a table, a block's checksum is wrong, or a block is compressed.
    """
    if len(data) < _FOOTER_BYTES or data[-8:] != MAGIC.to_bytes(8, "little"):
        raise CorruptData(f"{source} is not a TensorFlow checkpoint index: its last 8 bytes are not the table's mark")
    try:
        footer = data[-_FOOTER_BYTES:]
        position = 0
        for _ in range(2):
            _, position = decode_varint(footer, position)
        index = _read_block(data, footer[position:], source)
        return [item for _, handle in index for item in _read_block(data, handle, source)]
    except Truncated as error:
        raise CorruptData(f"{source} is damaged: {error}") from error


def _read_block(data: bytes, handle: bytes, source: str) -> list[tuple[bytes, bytes]]:
    offset, position = decode_varint(handle, 0)
    size, _ = decode_varint(handle, position)
    stored = data[offset : offset + size + _TRAILER_BYTES]
    if len(stored) != size + _TRAILER_BYTES:
        raise Truncated(f"block at byte {offset} reaches beyond the end")
    typed, expected = stored[:-4], int.from_bytes(stored[-4:], "little")
    if crc.mask(crc.extend(0, typed)) != expected:
        raise CorruptData(f"{source} is damaged: the block at byte {offset} does not match its checksum")
    if typed[-1] != _UNCOMPRESSED:
        raise CorruptData(f"{source}: the block at byte {offset} is compressed, which TensorFlow's writer never does")
    return _entries(typed[:-1])


def _entries(block: bytes) -> list[tuple[bytes, bytes]]:
    if len(block) < 4:
        raise Truncated("block without a restart count")
    end = len(block) - 4 * (int.from_bytes(block[-4:], "little") + 1)
    items = []
    key, position = b"", 0
    while position < end:
        shared, position = decode_varint(block, position)
        unshared, position = decode_varint(block, position)
        length, position = decode_varint(block, position)
        if shared > len(key) or position + unshared + length > end:
            raise Truncated("block with an entry that reaches beyond its end")
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        items.append((key, block[position : position + length]))
        position += length
    return items
