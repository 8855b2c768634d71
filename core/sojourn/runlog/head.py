"""Finding the newest entry of a log without listing it: entries are numbered without gaps, so a search does."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def find_head(exist: Callable[[Sequence[int]], Sequence[bool]], width: int) -> int:
    """Index of the last entry, or -1 if there is none.

    Args:
        exist: tells for some indices whether these entries exist.
        width: how many indices to ask for at a time; with 1 this is galloping, then binary search.
    """
    low, high = _bracket(exist, width)
    while high - low > 1:
        gap = high - low
        probes = sorted({low + max(1, gap * part // (width + 1)) for part in range(1, width + 1)} - {high})
        for probe, there in zip(probes, exist(probes), strict=True):
            if not there:
                high = probe
                break
            low = probe
    return low


def _bracket(exist: Callable[[Sequence[int]], Sequence[bool]], width: int) -> tuple[int, int]:
    low, stride = -1, 1
    while True:
        probes = [low + (stride << power) for power in range(width)]
        for probe, there in zip(probes, exist(probes), strict=True):
            if not there:
                return low, probe
            low = probe
        stride <<= width
