"""What callbacks remember between batches: the patience of EarlyStopping, the cooldown of ReduceLROnPlateau.

Keras gives callbacks no way to save themselves, so plain attributes are recorded: numbers, strings, and lists of
arrays (such as best_weights). A callback with other state defines `get_state()` and `set_state(state)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

_SKIP = frozenset({"model", "_model", "params", "validation_data", "verbose"})

CallbackState = dict[str, Any]


def names(callbacks: Sequence[keras.callbacks.Callback]) -> list[str]:
    """A stable name per callback: its class, numbered where it occurs again."""
    counts: dict[str, int] = {}
    out = []
    for callback in callbacks:
        kind = type(callback).__name__
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        out.append(kind if number == 0 else f"{kind}_{number}")
    return out


def collect(callbacks: Sequence[keras.callbacks.Callback]) -> tuple[dict[str, CallbackState], dict[str, np.ndarray]]:
    """The callbacks' state.

    Returns:
        (plain, arrays): JSON-able state per callback, and arrays named "callbacks/<callback>/<attribute>/<i>".
    """
    plain: dict[str, CallbackState] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, callback in zip(names(callbacks), callbacks, strict=True):
        if hasattr(callback, "get_state"):
            plain[name] = {"state": callback.get_state()}
            continue
        attributes: dict[str, Any] = {}
        for attribute, value in vars(callback).items():
            if attribute in _SKIP or _is_of_the_process(callback, attribute):
                continue
            if _is_plain(value):
                attributes[attribute] = value.item() if isinstance(value, np.generic) else value
            elif _is_array_list(value):
                arrays |= {f"callbacks/{name}/{attribute}/{i}": array for i, array in enumerate(value)}
        plain[name] = {"attributes": attributes}
    return plain, arrays


def restore(
    callbacks: Sequence[keras.callbacks.Callback], plain: dict[str, CallbackState], arrays: dict[str, np.ndarray]
) -> None:
    """Put back what `collect` returned; callbacks that are new to the job keep their initial state."""
    for name, callback in zip(names(callbacks), callbacks, strict=True):
        saved = plain.get(name)
        if saved is None:
            continue
        if "state" in saved:
            callback.set_state(saved["state"])
            continue
        for attribute, value in saved["attributes"].items():
            if hasattr(callback, attribute) and not _is_of_the_process(callback, attribute):
                setattr(callback, attribute, value)
        for attribute, values in _grouped(name, arrays).items():
            setattr(callback, attribute, values)


def _grouped(name: str, arrays: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    prefix = f"callbacks/{name}/"
    found: dict[str, dict[int, np.ndarray]] = {}
    for key, array in arrays.items():
        if key.startswith(prefix):
            attribute, _, index = key[len(prefix) :].rpartition("/")
            found.setdefault(attribute, {})[int(index)] = array
    return {attribute: [items[i] for i in sorted(items)] for attribute, items in found.items()}


def _is_of_the_process(callback: keras.callbacks.Callback, attribute: str) -> bool:
    """Keras turns the sign of min_delta when it chooses monitor_op, a function that every process chooses anew."""
    return attribute in ("min_delta", "monitor_op") and hasattr(callback, "monitor_op")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, np.generic))


def _is_array_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, np.ndarray) for item in value)
