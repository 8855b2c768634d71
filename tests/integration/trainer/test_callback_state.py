"""Callbacks that watch a metric decide after a restore as they would have without one."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest

from sojourn_trainer.state import callbacks as state

pytestmark = pytest.mark.tensorflow

Make = Callable[[], keras.callbacks.Callback]
LOSSES = [20.0, 15.0, 14.0, 4.0, 3.0]


def early_stopping() -> keras.callbacks.Callback:
    return keras.callbacks.EarlyStopping("loss", min_delta=10.0, patience=9, mode="min")


def plateau() -> keras.callbacks.Callback:
    return keras.callbacks.ReduceLROnPlateau("loss", min_delta=10.0, patience=9, mode="min")


def begin(make: Make) -> keras.callbacks.Callback:
    callback = make()
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback.set_model(model)
    callback.on_train_begin()
    return callback


def what_it_knows(callback: keras.callbacks.Callback) -> tuple[object, ...]:
    return callback.best, callback.wait, callback.min_delta  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", [early_stopping, plateau])
@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_in_another_process(make: Make, done: int) -> None:
    straight, broken = begin(make), begin(make)
    for epoch, loss in enumerate(LOSSES):
        if epoch == done:
            saved = state.collect([broken])
            broken = begin(make)
            state.restore([broken], *saved)
        for callback in (straight, broken):
            callback.on_epoch_end(epoch, {"loss": loss})
        assert what_it_knows(broken) == what_it_knows(straight)


@pytest.mark.parametrize("make", [early_stopping, plateau])
def test_in_the_same_process_where_it_is_rolled_back(make: Make) -> None:
    callback, straight = begin(make), begin(make)
    saved = state.collect([callback])
    callback.on_epoch_end(0, {"loss": 1.0})
    state.restore([callback], *saved)
    for epoch, loss in enumerate(LOSSES):
        callback.on_epoch_end(epoch, {"loss": loss})
        straight.on_epoch_end(epoch, {"loss": loss})
    assert what_it_knows(callback) == what_it_knows(straight)
