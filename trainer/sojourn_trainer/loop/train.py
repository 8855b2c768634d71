"""The training loop: Keras' callbacks and steps, driven so that any step boundary can be saved and gone on from.

`model.fit` cannot resume inside an epoch, resets metrics at its start and hides its iterator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras
import tensorflow as tf

from sojourn_trainer.data.distribute import TrainingInput
from sojourn_trainer.data.position import EpochPlan
from sojourn_trainer.data.source import Data
from sojourn_trainer.loop.boundary import Boundary
from sojourn_trainer.loop.build import prepare
from sojourn_trainer.loop.evaluation import Evaluation
from sojourn_trainer.loop.flags import FLAG_COUNT, Flags
from sojourn_trainer.loop.hooks import BatchHooks
from sojourn_trainer.loop.pace import Pace
from sojourn_trainer.loop.policy import Action
from sojourn_trainer.loop.progress import RunPosition
from sojourn_trainer.loop.session import Session
from sojourn_trainer.loop.step import BoundStep, CompiledSteps
from sojourn_trainer.task import Task
from sojourn_trainer.workers.assignment import Outcome, ProgressUpdate

_REPORT_SECONDS = 0.5


class TrainingLoop:
    """One attempt's training in one worker; build it in the strategy's scope."""

    def __init__(self, session: Session, task: Task, feed: TrainingInput, data: Data | None) -> None:
        self._session = session
        self._feed = feed
        self._model = task.model
        spec = session.job.spec
        batch = spec.training.global_batch_size
        held_out = (data.validation, data.test) if data is not None else (None, None)
        replicas = session.strategy.num_replicas_in_sync
        padded = feed.masked or any(EpochPlan(len(s), batch, replicas).padded for s in held_out if s is not None)
        prepare(self._model, spec.training, feed.example(), masked=padded)
        self._steps = CompiledSteps(
            self._model,
            session.strategy,
            task.train_step,
            masked=feed.masked,
            jit_compile=_use_xla(self._model, session),
        )
        self._history = keras.callbacks.History()
        self._callbacks = [*task.callbacks, self._history]
        self._boundary = Boundary(session, self._model, self._callbacks, feed)
        self._validation, self._test = (
            Evaluation(self._model, session.strategy, source, batch) if source is not None else None
            for source in held_out
        )
        self._pace = Pace(batch, session.clock)
        self._announced: float | None = None
        self._batch = batch
        self._replicas = replicas

    def run(self, total_steps: int) -> keras.callbacks.History:
        """Train to `total_steps`, or until asked to stop. Sets the session's outcome."""
        at = self._boundary.restore()
        epochs = math.ceil(total_steps / self._feed.steps_per_epoch)
        calls = keras.callbacks.CallbackList(
            self._callbacks, model=self._model, epochs=epochs, steps=self._feed.steps_per_epoch
        )
        self._model.stop_training = False
        self._announce(at, total_steps)
        step = self._first_step_at(at)
        calls.on_train_begin()
        self._boundary.restore_callbacks()
        hooks = BatchHooks(self._callbacks)
        outcome = Outcome.COMPLETED
        logs: dict[str, float] = {}
        while at.step < total_steps and not at.ended:
            if at.position.batch == 0:
                self._steps.reset_metrics()
                calls.on_epoch_begin(at.position.epoch)
            at, flags, logs = self._one_step(at, step, hooks)
            if self._boundary.checks_finite and not loss_is_finite(logs):
                back = self._boundary.roll_back(at)
                if back is None:
                    outcome = Outcome.ABORTED
                    break
                step = self._first_step_at(at, self._batches_to(at) - self._batches_to(back))
                at, logs = back.with_position(at.position), dict(back.metrics)
                if not at.ends_epoch_of(back.position):
                    continue
            if at.position.batch == 0 or at.step == total_steps:
                at = self._end_epoch(at, calls, logs)
            at = at.with_end(flags.end_training > 0 or at.ended)
            action = self._boundary.act(at, flags, last=at.step == total_steps or at.ended)
            if action in (Action.STOP, Action.ABORT):
                outcome = Outcome.STOPPED if action is Action.STOP else Outcome.ABORTED
                break
        self._finish(at, outcome, calls, logs)
        return self._history

    def _announce(self, at: RunPosition, total_steps: int) -> None:
        if self._session.rank == 0:
            assignment = self._session.assignment
            restored = at.step if assignment.restore is not None and not assignment.takes_part else None
            self._session.coordinator.started(self._feed.steps_per_epoch, total_steps, restored)
            self._announced = self._session.clock()

    def _first_step_at(self, at: RunPosition, skip: int = 0) -> BoundStep:
        self._boundary.about_to_trace()
        return self._steps.bind_training(self._feed.start(at.position, self._boundary.saved_input, skip))

    def _batches_to(self, at: RunPosition) -> int:
        return at.position.epoch * self._feed.steps_per_epoch + at.position.batch

    def _one_step(
        self, at: RunPosition, step: BoundStep, hooks: BatchHooks
    ) -> tuple[RunPosition, Flags, dict[str, float]]:
        hooks.begin(at.position.batch)
        asked = self._boundary.flags(self._model.stop_training)
        begun = self._session.clock()
        sums = step(asked).numpy().tolist()
        self._boundary.stepped(self._session.clock() - begun)
        flags = Flags.of(sums[:FLAG_COUNT])
        means = [value / self._replicas for value in sums[FLAG_COUNT:]]
        logs = dict(zip(self._steps.log_names, means, strict=True))
        hooks.end(at.position.batch, logs)
        after = at.after_step(self._feed.steps_per_epoch, self._batch)
        self._pace.step()
        if self._session.rank == 0:
            self._report(after, logs)
        return after, flags, logs

    def _report(self, at: RunPosition, logs: Mapping[str, float]) -> None:
        if self._announced is not None:
            self._session.coordinator.launched("first step", self._session.clock() - self._announced)
            self._announced = None
        if not self._pace.due(_REPORT_SECONDS):
            return
        metrics = {name: value for name, value in logs.items() if name != "loss"}
        self._session.coordinator.progress(
            ProgressUpdate(at.step, at.position.epoch, logs.get("loss"), metrics, self._pace.samples_per_second)
        )

    def _end_epoch(self, at: RunPosition, calls: keras.callbacks.CallbackList, logs: dict[str, float]) -> RunPosition:
        """Exact metrics of the epoch, validation, callbacks. The saved state is that after all of it."""
        epoch = at.position.epoch - (at.position.batch == 0)
        results = {name: float(value) for name, value in self._steps.metric_results().items()} or dict(logs)
        if self._validation is not None:
            results |= self._validation.run("val_")
        calls.on_epoch_end(epoch, results)
        if self._session.rank == 0:
            self._session.coordinator.epoch_ended(epoch, at.step, results)
        return at.with_metrics(results).with_end(self._agreed(self._model.stop_training))

    def _agreed(self, wish: bool) -> bool:
        """Whether any worker wishes so; all workers get the same answer."""
        return float(self._steps.count(tf.constant(float(wish)))) > 0

    def _finish(
        self, at: RunPosition, outcome: Outcome, calls: keras.callbacks.CallbackList, logs: dict[str, float]
    ) -> None:
        metrics = dict(at.metrics) or logs
        if outcome is Outcome.COMPLETED:
            metrics |= self._complete(at, calls, metrics)
        else:
            calls.on_train_end(metrics)
        self._boundary.close()
        self._session.outcome = outcome
        if self._session.rank == 0:
            self._session.coordinator.stopped(at.step, outcome, metrics)

    def _complete(
        self, at: RunPosition, calls: keras.callbacks.CallbackList, metrics: Mapping[str, float]
    ) -> dict[str, float]:
        """Let optimizer and callbacks have the last word on the weights, commit these too, and test them."""
        trained = self._boundary.weights_digest()
        if isinstance(self._model.optimizer, keras.optimizers.Optimizer):
            self._model.optimizer.finalize_variable_values(self._model.trainable_weights)
        calls.on_train_end(metrics)
        if self._agreed(self._boundary.weights_digest() != trained):
            self._boundary.commit(at)
        return self._test.run("test_") if self._test is not None else {}


def loss_is_finite(logs: Mapping[str, float]) -> bool:
    """Whether training may go on: only the loss counts, or all logs of a step that logs none."""
    watched = [logs["loss"]] if "loss" in logs else logs.values()
    return all(math.isfinite(value) for value in watched)


def _use_xla(model: keras.Model, session: Session) -> bool:
    fast = session.job.spec.training.mode == "Fast"
    return fast and bool(model.jit_compile) and session.strategy.num_replicas_in_sync == 1
