"""Evaluates a model over a whole source, exactly: every row counts once, over all replicas."""

from __future__ import annotations

import keras
import tensorflow as tf

from sojourn_trainer.data.distribute import distribute
from sojourn_trainer.data.pipeline import Feed
from sojourn_trainer.data.position import EpochPlan
from sojourn_trainer.data.source import Source
from sojourn_trainer.loop.step import CompiledSteps


class Evaluation:
    """A held-out source and the compiled step that reads it."""

    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy, source: Source, global_batch: int) -> None:
        self._plan = EpochPlan(len(source), global_batch, strategy.num_replicas_in_sync)
        steps = CompiledSteps(model, strategy, None, masked=self._plan.padded, jit_compile=False)
        self._reset, self._results = steps.reset_metrics, steps.metric_results
        plan = self._plan
        # One iterator for all evaluations: each reads exactly one pass, and a new one every epoch would pile up.
        batches = distribute(
            strategy,
            lambda feed: feed.one_epoch().repeat(),
            lambda first, local: Feed(source, plan, None, first, local),
        )
        self._step = steps.bind_evaluation(iter(batches))

    def run(self, prefix: str) -> dict[str, float]:
        """Metrics over the source, their names prefixed ("val_"). The model's metrics are reset before and after."""
        self._reset()
        for _ in range(self._plan.batches):
            self._step()
        results = {f"{prefix}{name}": float(value) for name, value in self._results().items()}
        self._reset()
        return results
