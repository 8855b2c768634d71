"""What happens between two steps: agree with the other workers, save, stop, restore, roll back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sojourn.checkpoint.commit import checkpoint_key
from sojourn.checkpoint.manifest import CheckpointMeta, Position
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import CorruptData, InvalidInput, StoreError
from sojourn.runlog.records import CommitInfo
from sojourn_trainer.checkpointing.interval import FIRST_SECONDS
from sojourn_trainer.checkpointing.restore import dropped, restore_part, restore_state
from sojourn_trainer.checkpointing.saver import Saver, SaverSettings, ShardPlace
from sojourn_trainer.checkpointing.snapshot import SnapshotPool
from sojourn_trainer.data.distribute import TrainingInput
from sojourn_trainer.loop.cost import CostMeter
from sojourn_trainer.loop.environment import environment_facts
from sojourn_trainer.loop.flags import Flags
from sojourn_trainer.loop.policy import Action, SaveState, decide
from sojourn_trainer.loop.progress import RunPosition
from sojourn_trainer.loop.requests import RequestListener
from sojourn_trainer.loop.session import Session
from sojourn_trainer.state import callbacks as callback_state
from sojourn_trainer.state.layout import Item, slots_of_worker
from sojourn_trainer.state.variables import list_state
from sojourn_trainer.workers.assignment import Request, SaveId

_RETRY_SECONDS = 10.0
_CALLBACKS = "callbacks/"
_SHOWN = 8


class Boundary:
    """One worker's side of every step boundary of an attempt."""

    def __init__(
        self,
        session: Session,
        model: keras.Model,
        callbacks: Sequence[keras.callbacks.Callback],
        feed: TrainingInput,
    ) -> None:
        self._session = session
        self._callbacks = callbacks
        self._feed = feed
        self._policy = session.job.spec.checkpoint.every
        self.checks_finite = session.job.spec.training.on_nan != "Ignore"
        self._state = list_state(model, session.strategy)
        self._local_replicas = session.strategy.num_replicas_in_sync // session.workers
        items = [Item(v.name, v.nbytes, v.merge is not None) for v in self._state]
        slots = slots_of_worker(items, session.rank, session.workers, self._local_replicas)
        assignment = session.assignment
        self._pool = SnapshotPool(self._state, slots)
        self._saver = Saver(
            ShardPlace(session.store, assignment.run.prefix, session.rank, session.workers),
            self._pool,
            session.coordinator,
            SaverSettings(require_finite=self.checks_finite),
        )
        self._save_state = SaveState()
        self._saves = 0
        self._last_save = session.clock()
        auto = self._policy.auto is not None
        self._listener = RequestListener(session.coordinator, auto=auto) if session.rank == 0 else None
        self._meter = CostMeter() if auto and session.rank == 0 else None
        self._stepped = False
        self.saved_input: dict[str, np.ndarray] = {}
        self._callback_restore: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None
        self._flag_tensors: dict[Flags, tf.Tensor] = {}

    def restore(self) -> RunPosition:
        """Take over the state of the assignment's checkpoint, or start a run afresh."""
        assignment = self._session.assignment
        if assignment.restore is None:
            return RunPosition()
        try:
            if assignment.takes_part:
                return self._take_part(assignment.restore)
            return self._read(assignment.restore)
        except CorruptData as error:
            name = assignment.run.name
            hint = f"`sojourn verify {name}` says what is damaged. Older ones: --new --restore-from {name}@STEP"
            raise CorruptData(error.message, hint=hint) from error

    def restore_callbacks(self) -> None:
        """Give callbacks their saved state; Keras resets them in `on_train_begin`, so call it after that."""
        if self._callback_restore is not None:
            (plain, arrays), self._callback_restore = self._callback_restore, None
            callback_state.restore(self._callbacks, plain, arrays)

    def flags(self, end_training: bool) -> tf.Tensor:
        """This worker's flags for the next step, float32 [FLAG_COUNT]."""
        asked = self._listener.latest if self._listener is not None else Request.NONE
        flags = Flags(
            checkpoint=float(asked is Request.CHECKPOINT or self._time_is_up() or self._failed_save_is_due()),
            stop=float(asked is Request.STOP),
            abort=float(asked is Request.ABORT),
            end_training=float(end_training),
            saving=float(self._saver.busy),
        )
        if flags not in self._flag_tensors:
            self._flag_tensors[flags] = tf.constant(flags.vector())
        return self._flag_tensors[flags]

    def about_to_trace(self) -> None:
        """The next step takes longer than others, which has nothing to do with saving."""
        if self._meter is not None:
            self._meter.restart()

    def stepped(self, seconds: float) -> None:
        """A step took so long."""
        if self._meter is None or self._listener is None:
            return
        if not self._stepped:  # the first save is to come soon after the start, but not in the middle of it
            self._stepped, self._last_save = True, self._session.clock()
        cost = self._meter.step(seconds, saving=self._saver.busy, write=self._saver.seconds)
        if cost is not None:
            self._listener.tell(cost)

    def act(self, at: RunPosition, flags: Flags, *, last: bool) -> Action:
        """Save, stop or go on, as all workers do at this boundary.

        Raises:
            StoreError: the checkpoint that must be committed before the end could not be.
        """
        before = self._save_state
        action, self._save_state = decide(before, flags, at.step, self._policy.steps)
        if action is Action.ABORT:
            return action
        if self._save_state.merged and not before.merged and self._session.rank == 0:
            self._session.coordinator.save_skipped(at.step, "an earlier one is still being written")
        if last or action is Action.STOP:
            self.commit(at)
        elif action is Action.SAVE:
            self._save(at)
        if flags.checkpoint > 0 and self._listener is not None:
            self._listener.done(Request.CHECKPOINT)
        return action

    def commit(self, at: RunPosition) -> None:
        """Save, and wait until it is committed.

        Raises:
            StoreError: it could not be.
        """
        self._save(at)
        failure = self._saver.wait()
        if failure is not None:
            raise StoreError(f"the checkpoint at step {at.step} could not be committed: {failure}")

    def weights_digest(self) -> str:
        """Of this worker's share of the model's variables."""
        return self._pool.digest("model/")

    def roll_back(self, at: RunPosition) -> RunPosition | None:
        """The loss is not finite after the step that led to `at`: go back as the job's policy says.

        Returns:
            Where the state now is, or None to end.
        """
        self._saver.wait()
        commit = self._session.coordinator.not_finite(at.step, at.position)
        if commit is None:
            return None
        restored = self._read(commit)
        self.restore_callbacks()
        return restored

    def close(self) -> None:
        """Wait for what is under way, and stop listening."""
        self._saver.wait()
        if self._listener is not None:
            self._listener.close()

    def _time_is_up(self) -> bool:
        if self._listener is None:
            return False
        seconds: float | None = self._policy.seconds
        if self._policy.auto is not None:
            seconds = (self._listener.interval or FIRST_SECONDS) if self._stepped else None
        return seconds is not None and self._session.clock() - self._last_save >= seconds

    def _failed_save_is_due(self) -> bool:
        """A save that failed is repeated, with the state of then, after a pause in which the store may recover."""
        return (
            self._session.rank == 0
            and self._saver.failure is not None
            and self._session.clock() - self._last_save >= _RETRY_SECONDS
        )

    def _save(self, at: RunPosition) -> None:
        begun = self._session.clock()
        assignment = self._session.assignment
        unique = uuid.uuid5(uuid.UUID(assignment.attempt_id), str(self._saves))
        self._saves += 1
        save = SaveId(at.step, assignment.term, checkpoint_key(at.step, assignment.term, str(unique)))
        plain, arrays = callback_state.collect(self._callbacks)
        own_arrays = self._feed.save()
        if self._session.rank == 0:
            own_arrays |= arrays
        self._saver.save(save, self._meta(at, plain) if self._session.rank == 0 else None, own_arrays)
        self._last_save = self._session.clock()
        if self._meter is not None:
            self._meter.saved(self._last_save - begun)

    def _meta(self, at: RunPosition, callbacks: dict[str, callback_state.CallbackState]) -> CheckpointMeta:
        spec = self._session.job.spec
        facts = environment_facts()
        return CheckpointMeta(
            step=at.step,
            samples=at.samples,
            position=at.position,
            seed=spec.training.seed,
            mode=spec.training.mode,
            strategy=spec.strategy,
            replicas=self._session.strategy.num_replicas_in_sync,
            global_batch_size=spec.training.global_batch_size,
            spec_digest=self._session.assignment.spec_digest,
            versions=facts.versions,
            cpu_flags=facts.cpu_flags,
            threads=facts.threads,
            callbacks=callbacks,
            extra={"metrics": dict(at.metrics), "ended": at.ended, "workers": self._session.workers},
        )

    def _refuse_other_workers(self, reader: CheckpointReader) -> None:
        saved = reader.manifest.meta.extra.get("workers", self._session.workers)
        if self._feed.same_workers_only and saved != self._session.workers:
            raise InvalidInput(
                f"the checkpoint was made with {saved} workers, and the task reads a tf.data pipeline of its own",
                hint=f"Such a pipeline resumes only with the same spec.workers.replicas: set it to {saved}.",
            )

    def _take_part(self, commit: CommitInfo) -> RunPosition:
        """Begin at step 0 with some variables of another run's checkpoint."""
        origin = self._session.job.spec.restore_from
        assert origin is not None
        assert origin.variables is not None
        reader = CheckpointReader(self._session.store, self._session.assignment.run.prefix, commit)
        replicas = self._session.strategy.num_replicas_in_sync
        first = self._session.rank * self._local_replicas
        found = restore_part(self._state, reader, origin.variables, first, replicas)
        if self._session.rank == 0:
            self._session.coordinator.say(f"from step {commit.step:,} of {origin.checkpoint}: {found.summary}")
        return RunPosition()

    def _read(self, commit: CommitInfo) -> RunPosition:
        reader = CheckpointReader(self._session.store, self._session.assignment.run.prefix, commit)
        self._refuse_other_workers(reader)
        replicas = self._session.strategy.num_replicas_in_sync
        own_input = f"input/{self._session.rank}/"
        first = self._session.rank * self._local_replicas
        restored = restore_state(self._state, reader, first, replicas, also=(own_input, _CALLBACKS))
        meta = reader.manifest.meta
        left_out = list(dropped(restored.found))
        if left_out and self._session.rank == 0:
            names = ", ".join(left_out[:_SHOWN]) + (" and more" if len(left_out) > _SHOWN else "")
            self._session.coordinator.say(
                f"step {meta.step:,} was saved with {len(left_out)} variables that the model does not have: {names}"
            )
        self.saved_input = {name: data for name, data in restored.others.items() if name.startswith(own_input)}
        arrays = {name: data for name, data in restored.others.items() if name.startswith(_CALLBACKS)}
        self._callback_restore = dict(meta.callbacks), arrays
        return RunPosition(
            step=meta.step,
            samples=meta.samples,
            position=Position(meta.position.epoch, meta.position.batch),
            metrics=meta.extra.get("metrics", {}),
            ended=bool(meta.extra.get("ended", False)),
        )
