"""What a step does besides training: only what somebody listens to, and nothing twice."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

from sojourn_trainer.loop.flags import FLAG_COUNT, Flags
from sojourn_trainer.loop.hooks import BatchHooks
from sojourn_trainer.loop.step import BoundStep, CompiledSteps

pytestmark = pytest.mark.tensorflow


class Listener(keras.callbacks.Callback):
    """Keeps what it is told, by the older name of the method."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[int, object]] = []

    def on_batch_end(self, batch: int, logs: object = None) -> None:
        self.heard.append((batch, logs))


def test_batch_hooks_call_those_who_listen() -> None:
    began: list[int] = []
    listener = Listener()
    given = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: began.append(batch))
    hooks = BatchHooks([keras.callbacks.History(), listener, given])
    assert [len(hooks._begin), len(hooks._end)] == [1, 1]
    hooks.begin(3)
    hooks.end(3, {"loss": 1.0})
    assert began == [3]
    assert listener.heard == [(3, {"loss": 1.0})]


def test_a_step_is_traced_once_and_reads_its_iterator() -> None:
    traces: list[int] = []

    def step(iterator: object, factor: tf.Tensor) -> tf.Tensor:
        traces.append(1)
        return next(iterator) * factor  # type: ignore[call-overload]

    bound = BoundStep(step, iter(tf.data.Dataset.range(1, 4, output_type=tf.float32)), tf.TensorSpec([], tf.float32))
    assert [float(bound(tf.constant(2.0))) for _ in range(3)] == [2.0, 4.0, 6.0]
    assert traces == [1]


def test_sums_over_the_replicas_begin_with_the_flags() -> None:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    steps = CompiledSteps(
        model, tf.distribute.get_strategy(), lambda model, data: {"loss": 3.0, "n": 7}, masked=False, jit_compile=False
    )
    rows = tf.data.Dataset.from_tensors((tf.ones([2, 1]), tf.ones([2]))).repeat()
    sums = steps.bind_training(iter(rows))(tf.constant(Flags(stop=1.0).vector())).numpy().tolist()
    assert Flags.of(sums[:FLAG_COUNT]) == Flags(stop=1.0)
    assert dict(zip(steps.log_names, sums[FLAG_COUNT:], strict=True)) == {"loss": 3.0, "n": 7.0}
    assert Flags.of([0.0] * FLAG_COUNT) is Flags.of([0.0] * FLAG_COUNT)
