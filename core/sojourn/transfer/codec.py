"""A chunk as its difference from one that the other side has, in as few bytes as a fast codec needs (pure).

Elements of two checkpoints differ in their lower bits: taken as integers, new minus old is small. Its bytes are put
together by place ("shuffled"), so that the upper ones, nearly all zero, compress to nothing, and the lowest, which are
noise, are left alone. Without an old chunk the same is done to the elements themselves. Lossless for any bytes.

    count of runs (2 bytes), then for each run
      length (4), width of its elements (1), method (1): 0 as it is, 1 shuffled, 2 difference shuffled, 3 the same
      for methods 1 and 2, for each plane: kind (1: 0 as it is, 1 zstd, 2 zeros), length (4), bytes
      for method 0: the bytes

All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sojourn.errors import CorruptData
from sojourn.store.base import Buffer

Array = npt.NDArray[Any]

WORTH = 0.97
"""A coded chunk is used if it is at most this part of the plain one."""

_PLAIN, _SHUFFLED, _DIFFERENCE, _SAME = range(4)
_STORED, _ZSTD, _ZEROS = range(3)
_HEAD, _RUN, _PLANE = struct.Struct("<H"), struct.Struct("<IBB"), struct.Struct("<BI")
_MOST_RUNS = 1 << 12
_BLOCK = 1 << 15
_SAMPLES, _SAMPLE = 4, 2048
_NOISE, _SPARSE = 7.8, 0.5
_UNSIGNED: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_SIGNED: dict[int, Any] = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes that are elements of one width (1, 2, 4 or 8); `length` is a multiple of it."""

    length: int
    width: int


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Bits for each byte of a plane, lowest plane first."""

    planes: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return sum(self.planes) / (8 * len(self.planes))


def encode(new: Buffer, base: Buffer | None, runs: Sequence[Run]) -> bytes | None:
    """The coded chunk, or None where that is not worth it, which is found out from samples first.

    Args:
        new: the chunk.
        base: the old chunk, of the same length; None if there is none.
        runs: what it consists of; their lengths add up to its own.
    """
    fresh = np.frombuffer(new, np.uint8)
    old = np.frombuffer(base, np.uint8) if base is not None else None
    if len(runs) > _MOST_RUNS:
        runs = [Run(len(fresh), 1)]
    plans: list[tuple[Run, int, int, _Estimate]] = []
    start, expected = 0, 0.0
    for run in runs:
        method, estimate = _choose(fresh, old, start, run)
        plans.append((run, start, method, estimate))
        expected += run.length * (0 if method == _SAME else estimate.ratio if method else 1)
        start += run.length
    if expected > WORTH * len(fresh):
        return None
    parts: list[Any] = [_HEAD.pack(len(runs))]
    for run, start, method, estimate in plans:
        parts.append(_RUN.pack(run.length, run.width, method))
        if method == _PLAIN:
            parts.append(fresh[start : start + run.length])
        elif method != _SAME:
            planes = _planes(fresh, old if method == _DIFFERENCE else None, start, run)
            for plane, bits in zip(planes, estimate.planes, strict=True):
                parts += _pack(plane, bits)
    coded = b"".join(parts)
    return coded if len(coded) <= WORTH * len(fresh) else None


def decode(coded: Buffer, base: Buffer | None, length: int) -> bytearray:
    """The chunk of `length` bytes. Raises CorruptData for what `encode` did not make of this base."""
    out = bytearray(length)
    fresh = np.frombuffer(out, np.uint8)
    old = np.frombuffer(base, np.uint8) if base is not None else np.empty(0, np.uint8)
    reader, start = _Reader(memoryview(coded)), 0
    (count,) = reader.unpack(_HEAD)
    for _ in range(count):
        size, width, method = reader.unpack(_RUN)
        end = start + size
        needs_base = method in (_DIFFERENCE, _SAME)
        if width not in _UNSIGNED or size % width or end > length or (needs_base and end > len(old)):
            raise CorruptData("a coded chunk is malformed")
        if method == _PLAIN:
            fresh[start:end] = np.frombuffer(reader.take(size), np.uint8)
        elif method == _SAME:
            fresh[start:end] = old[start:end]
        elif method in (_SHUFFLED, _DIFFERENCE):
            planes = [_unpack(reader, size // width) for _ in range(width)]
            _join(planes, fresh[start:end], old[start:end] if method == _DIFFERENCE else None)
        else:
            raise CorruptData(f"a coded chunk has the unknown method {method}")
        start = end
    if start != length or reader.left:
        raise CorruptData(f"a coded chunk has {start} bytes, {length} were expected")
    return out


def _choose(fresh: Array, old: Array | None, start: int, run: Run) -> tuple[int, _Estimate]:
    """The method that samples of the run say to be smallest."""
    end = start + run.length
    whole = _Estimate((8.0,) * run.width)
    plain = _estimate(fresh[start:end], None, run.width)
    best = (_SHUFFLED, plain) if plain.ratio < WORTH else (_PLAIN, whole)
    if old is not None:
        difference = _estimate(fresh[start:end], old[start:end], run.width)
        if not difference.ratio and np.array_equal(fresh[start:end], old[start:end]):
            return _SAME, _Estimate(())
        if difference.ratio < min(best[1].ratio, WORTH):
            best = (_DIFFERENCE, difference)
    return best


def _estimate(fresh: Array, old: Array | None, width: int) -> _Estimate:
    count = len(fresh) // width
    starts = sorted({(count - _SAMPLE) * number // (_SAMPLES - 1) for number in range(_SAMPLES)})
    ranges = [(at, at + _SAMPLE) for at in starts] if count > _SAMPLES * _SAMPLE else [(0, count)]
    samples = []
    for first, last in ranges:
        part = slice(first * width, last * width)
        values = fresh[part].view(_UNSIGNED[width])
        samples.append(values if old is None else _difference(values, old[part].view(_UNSIGNED[width])))
    bytes_of = np.concatenate(samples).view(np.uint8).reshape(-1, width)
    return _Estimate(tuple(_entropy(bytes_of[:, plane]) for plane in range(width)))


def _entropy(values: Array) -> float:
    """Bits for each of these bytes."""
    if not len(values):
        return 0.0
    counts = np.bincount(values, minlength=256)
    shares = counts[counts > 0] / len(values)
    return float(-(shares * np.log2(shares)).sum())


def _difference(new: Array, old: Array) -> Array:
    """New minus old, with the sign in the lowest bit, so that small numbers of either sign have zeros above."""
    width = new.dtype.itemsize
    found = new - old
    sign = found.view(_SIGNED[width]) >> (8 * width - 1)
    np.left_shift(found, 1, out=found)
    np.bitwise_xor(found, sign.view(_UNSIGNED[width]), out=found)
    return found


def _planes(fresh: Array, old: Array | None, start: int, run: Run) -> Array:
    """One row of bytes for each place in an element. Done in blocks that stay in the processor's cache."""
    kind, count = _UNSIGNED[run.width], run.length // run.width
    planes = np.empty((run.width, count), np.uint8)
    values = fresh[start : start + run.length].view(kind)
    olds = old[start : start + run.length].view(kind) if old is not None else None
    for first in range(0, count, _BLOCK):
        block = values[first : first + _BLOCK]
        if olds is not None:
            block = _difference(block, olds[first : first + _BLOCK])
        shuffled = block.view(np.uint8).reshape(-1, run.width)
        for place in range(run.width):
            planes[place, first : first + _BLOCK] = shuffled[:, place]
    return planes


def _join(planes: Sequence[Array | None], out: Array, old: Array | None) -> None:
    """The reverse of `_planes`; None is a plane of zeros."""
    width = len(planes)
    kind, count = _UNSIGNED[width], len(out) // width
    values = out.view(kind)
    olds = old.view(kind) if old is not None else None
    for first in range(0, count, _BLOCK):
        last = min(count, first + _BLOCK)
        block = np.zeros(last - first, kind)
        shuffled = block.view(np.uint8).reshape(-1, width)
        for place, plane in enumerate(planes):
            if plane is not None:
                shuffled[:, place] = plane[first:last]
        if olds is not None:
            sign = np.negative(block & kind(1))
            np.right_shift(block, 1, out=block)
            np.bitwise_xor(block, sign, out=block)
            np.add(block, olds[first:last], out=block)
        values[first:last] = block


def _pack(plane: Array, bits: float) -> Iterator[Any]:
    if bits < _NOISE:
        if not plane.any():
            yield _PLANE.pack(_ZEROS, 0)
            return
        packed = _compressor(sparse=bits < _SPARSE).compress(plane)
        if len(packed) < WORTH * len(plane):
            yield _PLANE.pack(_ZSTD, len(packed))
            yield packed
            return
    yield _PLANE.pack(_STORED, len(plane))
    yield plane


def _unpack(reader: _Reader, count: int) -> Array | None:
    import zstandard

    kind, size = reader.unpack(_PLANE)
    data = reader.take(size)
    if kind == _ZEROS and not size:
        return None
    try:
        # What a header promises is reserved before it is read, so it is looked at first.
        if kind == _ZSTD and zstandard.frame_content_size(data) == count:
            data = memoryview(zstandard.ZstdDecompressor().decompress(data))
    except zstandard.ZstdError as error:
        raise CorruptData(f"a coded chunk cannot be decompressed: {error}") from error
    if kind not in (_STORED, _ZSTD) or len(data) != count:
        raise CorruptData("a coded chunk has a malformed plane")
    return np.frombuffer(data, np.uint8)


def _compressor(*, sparse: bool) -> Any:
    """zstd for long runs of zeros, or one that hardly looks for repetitions: there are none, and looking is slow."""
    import zstandard

    if sparse:
        return zstandard.ZstdCompressor(level=1)
    few = zstandard.ZstdCompressionParameters.from_level(1, min_match=7, hash_log=6, window_log=17)
    return zstandard.ZstdCompressor(compression_params=few)


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self._data = data.cast("B")

    @property
    def left(self) -> int:
        return len(self._data)

    def take(self, count: int) -> memoryview:
        if count > len(self._data):
            raise CorruptData("a coded chunk ends early")
        found, self._data = self._data[:count], self._data[count:]
        return found

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size))
