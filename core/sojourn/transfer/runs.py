"""Which elements a chunk of a checkpoint's file consists of, as its manifest says (pure)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import islice

from sojourn.checkpoint import dtypes
from sojourn.checkpoint.bundle import TensorEntry
from sojourn.errors import InvalidInput
from sojourn.transfer.codec import Run

_SMALL = 64 << 10


def runs_of(tensors: Sequence[TensorEntry], start: int, end: int) -> list[Run]:
    """Bytes [start, end) of a file as runs of elements.

    Args:
        tensors: those of the file, as `by_file` gives them. What lies between them has elements of one byte.

    Neighbours of one width are put together unless both are large, as each run has a method of its own.
    """
    runs: list[Run] = []
    at = start
    # The last one that begins before the part may reach into it; those before it do not.
    reaching = max(0, bisect_right(tensors, start, key=lambda tensor: tensor.offset) - 1)
    for tensor in islice(tensors, reaching, None):
        if tensor.offset >= end:
            break
        first, last = max(tensor.offset, at), min(tensor.offset + tensor.length, end)
        if first >= last:
            continue
        _add(runs, first - at, 1)
        width = element_width(tensor.dtype)
        # A chunk may begin and end within an element.
        head = min(-(first - tensor.offset) % width, last - first)
        body = (last - first - head) // width * width
        _add(runs, head, 1)
        _add(runs, body, width)
        _add(runs, last - first - head - body, 1)
        at = last
    _add(runs, end - at, 1)
    return runs


def by_file(tensors: Sequence[TensorEntry], names: Sequence[str]) -> Mapping[str, list[TensorEntry]]:
    """Each file's tensors by offset, empty ones first; `names` has the files' in the order of the manifest."""
    found: dict[str, list[TensorEntry]] = {name: [] for name in names}
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.length)):
        found[names[tensor.shard]].append(tensor)
    return found


def element_width(dtype: str) -> int:
    """Bytes of the numbers that an element consists of; 1 for a type that is not known."""
    try:
        kind = dtypes.by_name(dtype).numpy
    except InvalidInput:
        return 1
    return kind.itemsize // 2 if kind.kind == "c" else kind.itemsize


def _add(runs: list[Run], length: int, width: int) -> None:
    if not length:
        return
    last = runs[-1] if runs else None
    if last and last.width == width and min(last.length, length) < _SMALL:
        runs[-1] = Run(last.length + length, width)
    else:
        runs.append(Run(length, width))
