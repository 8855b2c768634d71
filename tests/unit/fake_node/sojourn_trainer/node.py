"""A node process without TensorFlow: it keeps the contract of `sojourn run` and trains nothing.

FAKE_NODE names what happens; FAKE_NODE_SAW is the file that gets the arguments, for the test to look at.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sojourn import events


def emit(event: events.Event) -> None:
    print(events.encode(event), flush=True)


def start(total: int) -> None:
    emit(events.Launch(time=time.time(), phase="ray", seconds=0.1))
    emit(
        events.Started(
            time=time.time(),
            run="digits",
            run_id="0b5e0f5c-0000-4000-8000-000000000001",
            attempt="a1",
            term=1,
            workers=1,
            strategy="Default",
            steps_per_epoch=5,
            total_steps=total,
            epochs=total // 5,
        )
    )


def progress(step: int, total: int) -> None:
    emit(
        events.Progress(
            time=time.time(), step=step, epoch=(step - 1) // 5, total_steps=total, loss=1 / step, metrics={"acc": 0.5}
        )
    )


def commit(step: int) -> None:
    emit(
        events.Committed(
            time=time.time(), step=step, bytes=1000, seconds=0.1, stall_seconds=0.01, checkpoint=f"data/{step}-1-ab"
        )
    )


def complete() -> int:
    print("a library greets on standard output")
    print("and on standard error", file=sys.stderr)
    start(10)
    for step in range(1, 11):
        progress(step, 10)
        if step % 5 == 0:
            commit(step)
    print('{"event": "FromTheFuture", "time": 1}')
    emit(events.Completed(time=time.time(), step=10, epoch=2, metrics={"loss": 0.1}, seconds=1.0))
    return 0


def fail() -> int:
    start(10)
    emit(events.Failed(time=time.time(), message="loss is NaN at step 3", hint="Lower the learning rate.", exit_code=1))
    return 1


def refuse() -> int:
    emit(events.Failed(time=time.time(), message="the run was handed over to s3://b", exit_code=4))
    return 4


def crash() -> int:
    start(10)
    print("Fatal Python error: Segmentation fault", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def silent() -> int:
    return 1


def orphan() -> int:
    """Ends, and leaves a child that holds its standard output open."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    return complete()


def until_stopped() -> int:
    """Trains until SIGTERM, then commits; FAKE_NODE=stubborn takes no notice of it."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    start(100_000)
    step = 0
    while not stopped or os.environ["FAKE_NODE"] == "stubborn":
        step += 1
        progress(step, 100_000)
        time.sleep(0.02)
    commit(step)
    emit(events.Suspended(time=time.time(), step=step, reason="SIGTERM"))
    return 3


SCENARIOS = {
    "complete": complete,
    "fail": fail,
    "refuse": refuse,
    "crash": crash,
    "silent": silent,
    "orphan": orphan,
    "until-stopped": until_stopped,
    "stubborn": until_stopped,
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--job", required=True, type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--events", choices=["json"])
    parser.add_argument("--code", type=Path)
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--restore-from")
    parser.add_argument("--restore-store")
    parser.add_argument("--ray-address")
    arguments = parser.parse_args()
    if saw := os.environ.get("FAKE_NODE_SAW"):
        seen = {
            "job": json.loads(arguments.job.read_text()),
            "store": arguments.store,
            "code": arguments.code.read_bytes().hex() if arguments.code else None,
            "new": arguments.new,
            "restoreFrom": arguments.restore_from,
            "restoreStore": arguments.restore_store,
            "rayAddress": arguments.ray_address,
            "session": os.getsid(0),
            "pid": os.getpid(),
        }
        Path(saw).write_text(json.dumps(seen))
    return SCENARIOS[os.environ["FAKE_NODE"]]()


if __name__ == "__main__":
    sys.exit(main())
