"""The compiled training and evaluation steps.

Keras' own train function reduces each scalar apart and cannot carry anything else between workers. Here one vector
rides on one all-reduce per step: first the flags by which workers agree at the boundary, then the step's logs.
A step is traced for the one iterator it reads: handing an iterator to a tf.function takes 0.2 ms of Python per call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import global_state
from keras.src.losses import loss as loss_module
from keras.src.random import seed_generator

from sojourn_trainer.loop.flags import FLAG_COUNT
from sojourn_trainer.task import TrainStep


class BoundStep:
    """A step traced, at its first call, for one iterator; called with the tensors that `specs` describe."""

    def __init__(self, step: Callable[..., Any], iterator: Any, *specs: tf.TensorSpec) -> None:
        @tf.function
        def bound(*tensors: tf.Tensor) -> Any:
            return step(iterator, *tensors)

        self._function = bound  # keeps the iterator, of which a trace holds no more than a handle
        self._specs = specs
        self._traced: Callable[..., Any] | None = None

    def __call__(self, *tensors: tf.Tensor) -> Any:
        if self._traced is None:
            self._traced = self._function.get_concrete_function(*self._specs)
        return self._traced(*tensors)


class CompiledSteps:
    """A model's steps under a strategy.

    Args:
        model: built and compiled.
        strategy: the model's strategy.
        train_step: a custom step, or None for the model's own.
        masked: whether batches may hold padding, so that steps get sample weights.
        jit_compile: let XLA compile the replica's part.
    """

    def __init__(
        self,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        train_step: TrainStep | None,
        *,
        masked: bool,
        jit_compile: bool,
    ) -> None:
        self._model = model
        self._strategy = strategy
        self.log_names: list[str] = []
        step = _step_function(model, train_step, masked=masked, training=True)
        if jit_compile:
            step = tf.function(step, jit_compile=True)
        self._train = _with_seeds(step)
        self._test = _with_seeds(_step_function(model, None, masked=masked, training=False))
        self.count: Callable[[tf.Tensor], tf.Tensor] = tf.function(self._count)
        self.metric_results: Callable[[], dict[str, tf.Tensor]] = tf.function(model.get_metrics_result)
        self.reset_metrics: Callable[[], None] = tf.function(model.reset_metrics)

    def bind_training(self, iterator: Any) -> BoundStep:
        """A training step: from flags, float32 [FLAG_COUNT], to float32 [FLAG_COUNT + logs] summed over replicas.

        `log_names` are known after its first call.
        """

        def train(iterator: Any, flags: tf.Tensor) -> tf.Tensor:
            per_replica = self._strategy.run(self._replica, args=(self._train, next(iterator), flags))
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)

        return BoundStep(train, iterator, tf.TensorSpec([FLAG_COUNT], tf.float32))

    def bind_evaluation(self, iterator: Any) -> BoundStep:
        """An evaluation step: updates the model's metrics, returns nothing."""

        def evaluate(iterator: Any) -> None:
            self._strategy.run(self._test, args=(next(iterator),))

        return BoundStep(evaluate, iterator)

    def _replica(self, step: Callable[..., dict[str, tf.Tensor]], batch: Any, flags: tf.Tensor) -> tf.Tensor:
        logs = step(batch)
        self.log_names = list(logs)
        values = [tf.reshape(tf.cast(value, tf.float32), [1]) for value in logs.values()]
        return tf.concat([flags, *values], axis=0)

    def _count(self, vote: tf.Tensor) -> tf.Tensor:
        """The sum of a scalar over all replicas."""
        return self._strategy.reduce(
            tf.distribute.ReduceOp.SUM, self._strategy.run(tf.identity, args=(vote,)), axis=None
        )


def _step_function(
    model: keras.Model, train_step: TrainStep | None, *, masked: bool, training: bool
) -> Callable[[Any], dict[str, tf.Tensor]]:
    own = (type(model).train_step if training else type(model).test_step) is not (
        keras.Model.train_step if training else keras.Model.test_step
    )

    def step(batch: Any) -> dict[str, tf.Tensor]:
        arrays, mask = batch
        data = with_mask(arrays, mask) if masked else arrays
        if training and train_step is not None:
            return train_step(model, data)
        if own or not masked:
            return model.train_step(data) if training else model.test_step(data)
        return _masked_step(model, data, mask, training=training)

    return step


def _with_seeds(step: Callable[[Any], dict[str, tf.Tensor]]) -> Callable[[Any], dict[str, tf.Tensor]]:
    """The step with this thread's global seed generator: Keras has one per thread, and replicas trace in their own."""
    seeds = seed_generator.global_seed_generator()

    def seeded(batch: Any) -> dict[str, tf.Tensor]:
        global_state.set_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR, seeds)
        return step(batch)

    return seeded


def with_mask(arrays: Any, mask: tf.Tensor) -> tuple[Any, Any, tf.Tensor]:
    """(x, y, sample_weight) in which padding weighs nothing."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(arrays)
    return x, y, mask if weight is None else weight * tf.cast(mask, weight.dtype)


def _masked_step(model: keras.Model, data: Any, mask: tf.Tensor, *, training: bool) -> dict[str, tf.Tensor]:
    """Keras' own step for a batch with padding.

    The loss is the sum over the real rows divided by the full batch, so every row of the data moves the weights alike;
    the tracked mean loss counts real rows only, and penalties (regularizers, `add_loss`) in full.
    """
    x, y, weight = data
    real = tf.reduce_sum(mask)
    share = real / tf.cast(tf.size(mask), real.dtype)
    with tf.GradientTape() as tape:
        y_pred = model(x, training=training)
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight, training=training)
        penalty = tf.add_n([tf.reduce_sum(extra) for extra in model.losses]) if model.losses else 0.0
        of_rows = loss_module.unscale_loss_for_distribution(loss) - tf.cast(penalty, loss.dtype)
        tracked = tf.math.divide_no_nan(of_rows, tf.cast(share, loss.dtype)) + tf.cast(penalty, loss.dtype)
        model._loss_tracker.update_state(tracked, sample_weight=real)
        scaled = model.optimizer.scale_loss(loss) if training else loss
    if training:
        weights = model.trainable_weights
        model.optimizer.apply_gradients(zip(tape.gradient(scaled, weights), weights, strict=True))
    return model.compute_metrics(x, y, y_pred, sample_weight=weight)
