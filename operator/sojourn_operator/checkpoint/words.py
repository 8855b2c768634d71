"""What `kubectl get ckpt` says of a checkpoint: how good, how large, and which is the best (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

_DEFAULTS: Final = ({"metric": "val_loss", "mode": "Min"}, {"metric": "loss", "mode": "Min"})
_SCALE: Final = 1024.0


def quality(metrics: Mapping[str, float], keep_best: Mapping[str, Any] | None) -> str:
    """The metric that matters, as "val_accuracy=0.9812"; "" if the checkpoint has none of them."""
    for by in _measures(keep_best):
        if by["metric"] in metrics:
            return f"{by['metric']}={metrics[by['metric']]:.4g}"[:128]
    return ""


def size(count: int) -> str:
    """Bytes for people, such as 1.2GiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < _SCALE or unit == "TiB":
            return f"{value:.0f}{unit}" if unit == "B" or value >= 10 else f"{value:.1f}{unit}"
        value /= _SCALE
    raise AssertionError("the last unit holds everything")


def best(specs: Iterable[Mapping[str, Any]], keep_best: Mapping[str, Any] | None) -> str:
    """Key of the best checkpoint by keepBest, else by the lowest val_loss or loss; the newest of equals. "" if none."""
    known = list(specs)
    for by in _measures(keep_best):
        sign = 1.0 if by["mode"] == "Max" else -1.0
        rated = [
            (sign * value, spec["step"], spec["key"])
            for spec in known
            if not math.isnan(value := spec.get("metrics", {}).get(by["metric"], math.nan))
        ]
        if rated:
            return str(max(rated)[2])
    return ""


def _measures(keep_best: Mapping[str, Any] | None) -> Iterable[Mapping[str, Any]]:
    return (keep_best,) if keep_best else _DEFAULTS
