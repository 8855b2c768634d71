"""Numbers as people read them. Every unit is written out; a value that is not known is a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping

UNKNOWN = "–"


def count(number: int) -> str:
    """A whole number with thousands apart: 12,345."""
    return f"{number:,}"


def plural(number: int, noun: str, many: str = "") -> str:
    """A number and its noun: "1 worker", "2 workers", "3 entries"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {many or noun + 's'}"


def short_id(text: str) -> str:
    """The first part of a UUID, which is enough to tell a handful of them apart; anything else as it is."""
    return text[:8] if len(text) == 36 and text[8:9] == "-" else text


def size(number: float) -> str:
    """Bytes in decimal units, as disks and networks are sold: 1.2 MB."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"


def seconds(value: float | None) -> str:
    """A duration with the precision that its length deserves: 8 ms, 0.31 s, 12.4 s, 3 min 05 s, 2 h 04 min."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 99.95:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24:02d} h"


def whole_seconds(value: float | None) -> str:
    """A duration that is shown while it changes, so without fractions: 0 s, 12 s, 3 min 05 s."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{max(value, 0):.0f} s" if value < 99.5 else seconds(value)


def metric(value: float) -> str:
    """A loss or a metric with four significant places: 0.2312, 14.21, 3.1e-06."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"
    return f"{value:.2e}"


def facts(values: Mapping[str, object]) -> str:
    """What is known by name, in one line: "workers 2, hosts a b". What has parts of its own is left out."""
    shown = []
    for name, value in values.items():
        if isinstance(value, str | int | float):
            shown.append(f"{name} {value}")
        elif isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
            shown.append(f"{name} {' '.join(dict.fromkeys(str(item) for item in value))}")
    return ", ".join(shown)


def metrics(values: Mapping[str, float]) -> str:
    """Metrics in one line: "accuracy 0.9312, val_loss 0.2101"."""
    return ", ".join(f"{name} {metric(value)}" for name, value in values.items())


def rate(value: float | None) -> str:
    """Samples per second, without decimals where there are many."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
