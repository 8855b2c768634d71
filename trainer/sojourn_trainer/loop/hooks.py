"""Keras' batch callbacks without those that do nothing: CallbackList calls them all, and may start threads for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras.callbacks import Callback


class BatchHooks:
    """What callbacks do before and after each step; make it when `on_train_begin` is over."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._begin = [
            c.on_train_batch_begin for c in callbacks if _overrides(c, "on_train_batch_begin", "on_batch_begin")
        ]
        self._end = [c.on_train_batch_end for c in callbacks if _overrides(c, "on_train_batch_end", "on_batch_end")]

    def begin(self, batch: int) -> None:
        for hook in self._begin:
            hook(batch, logs={})

    def end(self, batch: int, logs: Mapping[str, float]) -> None:
        for hook in self._end:
            hook(batch, logs=logs)


def _overrides(callback: Callback, *names: str) -> bool:
    """Whether a callback has one of these methods itself, in its class or as an attribute."""
    return any(getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name) for name in names)
