"""The main job, start to end: train, lose a worker, stop, move, go on, compare, export, serve, predict.

Every command is one that a user types; what it prints is what it prints. Takes a few minutes on two cores.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from stage import DemoFailed, Stage, committed_step, kill_a_worker, wait_for

import sojourn

HERE = Path(__file__).parent
JOB = str(HERE / "job.yaml")
KILL_AFTER_STEP, STOP_AFTER_STEP = 300, 700
RIGHT = 0.97
"""Share of predictions that must be right; the model is trained to more than 0.99."""


def main() -> int:
    """Returns the exit code."""
    stage = Stage(HERE / "out")
    try:
        train_and_lose_a_worker(stage)
        move(stage)
        go_on(stage)
        compare_with_a_quiet_life(stage)
        export(stage)
        serve_and_predict(stage)
        report(stage)
    except DemoFailed as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    stage.finish()
    return 0


def train_and_lose_a_worker(stage: Stage) -> None:
    stage.act("Train on two workers; one is killed, then the run is stopped")
    run = stage.start(["run", JOB, "--store", "east", "--output", "plain"])
    east = stage.folder / "east"

    def accidents() -> None:
        wait_for(lambda: committed_step(east, "digits") >= KILL_AFTER_STEP, "a checkpoint")
        killed = kill_a_worker(run.pid)
        stage.say(f"--- kill -9 {killed}, one of the two workers ---")
        wait_for(lambda: committed_step(east, "digits") >= STOP_AFTER_STEP, "a checkpoint")
        stage.say("--- Ctrl-C ---")
        run.send_signal(signal.SIGINT)

    fate = threading.Thread(target=accidents, daemon=True)
    fate.start()
    stage.follow(run, expect=3)
    stage.say(f"Everything up to step {committed_step(east, 'digits')} is committed, the last step included.")


def move(stage: Stage) -> None:
    stage.act("Move the run to another store; the old one refuses to go on")
    stage.run("move", "digits", "--store", "east", "--to", "west")
    stage.run("run", JOB, "--store", "east", "--output", "plain", expect=4)


def go_on(stage: Stage) -> None:
    stage.act("Go on in the other store, from the very next step")
    before = committed_step(stage.folder / "west", "digits")
    stage.run("run", JOB, "--store", "west", "--output", "plain")
    stage.say(f"It went on from step {before}.")
    stage.run("history", "digits", "--store", "west")


def compare_with_a_quiet_life(stage: Stage) -> None:
    stage.act("Train the same job without any accident, and compare the two results bit by bit")
    stage.run("run", JOB, "--store", "quiet", "--output", "plain")
    stage.run("compare", "digits", "digits", "--store", "west", "--other-store", "quiet")


def export(stage: Stage) -> None:
    stage.act("Export the model; each format is loaded again with nothing but TensorFlow")
    stage.run("export", "digits", "--store", "west", "--format", "savedmodel,keras,h5")
    stage.run("verify", "digits", "--store", "west")


def serve_and_predict(stage: Stage) -> None:
    stage.act("Serve it with two replicas, and predict")
    port = free_port()
    server = stage.start(["serve", "digits", "--store", "west", "--replicas", "2", "--port", str(port)])
    output = threading.Thread(target=drain, args=(server,), daemon=True)
    output.start()
    try:
        images, labels = digits()
        predictor = sojourn.Predictor(f"127.0.0.1:{port}", wait=120)
        probabilities = next(iter(predictor(images).values()))
        right = float(np.mean(np.argmax(probabilities, axis=1) == labels))
        (stage.folder / "three.json").write_text(json.dumps({"instances": images[:3].tolist()}))
        stage.run("predict", f"127.0.0.1:{port}", "--input", "three.json")
        stage.say(f"The three digits are {', '.join(str(label) for label in labels[:3])}.")
        if right < RIGHT:
            raise DemoFailed(f"only {right:.1%} of the digits are right, and {RIGHT:.0%} must be")
        stage.say(f"{right:.1%} of all {len(labels)} digits (nine tenths of them were trained on) are right.")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def report(stage: Stage) -> None:
    stage.act("Look back: one page with the curves, the interruption, the move")
    stage.run("report", "digits", "--store", "west", "--output", "report.html")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Inputs as the data set has them (float32, [1797, 8, 8], ink from 0 to 16), and labels."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    return loaded.images.astype(np.float32), loaded.target


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def drain(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(f"    {line.rstrip()}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
