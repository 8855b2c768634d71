"""A run as its events tell it: a start, commits, a lost worker, a restart, a failed save, the end."""

import math

import pytest

from sojourn import events

BEGIN = 1_800_000_000.0


def started(time: float, attempt: str, term: int, restored_step: int | None) -> events.Started:
    return events.Started(
        time=time,
        run="digits",
        run_id="5f0c",
        attempt=attempt,
        term=term,
        restored_step=restored_step,
        workers=2,
        strategy="MultiWorkerMirroredStrategy",
        steps_per_epoch=25,
        total_steps=125,
        epochs=5,
    )


def progress(time: float, step: int, last_commit: float | None) -> events.Progress:
    return events.Progress(
        time=time,
        step=step,
        epoch=step // 25,
        total_steps=125,
        loss=2.3 * math.exp(-step / 40) + 0.1,
        metrics={"accuracy": 1 - 0.9 * math.exp(-step / 40)},
        samples_per_second=4812.3,
        eta_seconds=(125 - step) * 0.4,
        seconds_since_commit=None if last_commit is None else time - last_commit,
    )


@pytest.fixture
def story() -> list[events.Event]:
    """Progress comes every 2 s, every 5 steps; a commit every 25 steps."""
    told: list[events.Event] = [
        events.Launch(time=BEGIN + 14, phase="start Ray", seconds=14.2),
        events.Launch(time=BEGIN + 17, phase="import TensorFlow", seconds=3.1),
        events.Dashboard(time=BEGIN + 17, url="http://127.0.0.1:8265"),
        started(BEGIN + 18, "a1", 1, None),
    ]
    now, last = BEGIN + 18, None
    for step in range(5, 130, 5):
        now += 2
        if step == 70:
            told.append(
                events.AttemptFailed(
                    time=now, attempt="a1", error="worker 1 was killed by SIGKILL", failures=1, backoff_limit=6
                )
            )
            now += 9
            told.append(started(now, "a2", 2, 50))
        told.append(progress(now, step, last))
        if step % 25 == 0:
            last = now
            told.append(
                events.Committed(
                    time=now,
                    step=step,
                    bytes=1_234_567,
                    seconds=0.31,
                    stall_seconds=0.008,
                    checkpoint=f"data/{step}-1-ab",
                )
            )
            told.append(events.EpochEnd(time=now, epoch=step // 25 - 1, step=step, metrics={"loss": 0.5}))
        if step == 80:
            told.append(events.SaveFailed(time=now, step=80, error="no space left on device", will_retry=True))
    told.append(events.Completed(time=now, step=125, epoch=5, metrics={"loss": 0.2, "accuracy": 0.97}, seconds=81.0))
    return told
