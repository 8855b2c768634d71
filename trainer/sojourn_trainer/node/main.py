"""The node's command line. It starts neither TensorFlow nor Ray in this process."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sojourn import events
from sojourn.api import TrainingJob
from sojourn.errors import InvalidInput, SojournError
from sojourn.progress.output import open_renderer
from sojourn.store.open import open_store
from sojourn.store.probe import probe_exclusive_create
from sojourn_trainer.driver.prepare import PreparedRun, RunRequest, prepare_run
from sojourn_trainer.node.ray_plans import local_head
from sojourn_trainer.node.stops import Stops
from sojourn_trainer.node.supervisor import Supervisor, Surroundings
from sojourn_trainer.settings import read_settings

_GRACE_MARGIN_SECONDS = 2.0  # for Ray to end


def main(arguments: Sequence[str]) -> int:
    """Run one job, or one pod of it, to its end; returns the exit code (docs/reference/exit-codes.md)."""
    found = _parser().parse_args(arguments)
    if found.verb == "pod":
        from sojourn_trainer.node.pod.main import run_pod

        return run_pod()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with open_renderer(found.events) as renderer:
        try:
            job = _read_job(found.job)
            prepared = _prepare(job, found)
        except SojournError as error:
            renderer.show(
                events.Failed(time=time.time(), message=error.message, hint=error.hint, exit_code=error.exit_code)
            )
            return error.exit_code
        stops = Stops(max(1.0, job.spec.termination_grace_period_seconds - _GRACE_MARGIN_SECONDS))
        stops.listen()
        around = Surroundings(
            ray=None if found.ray_address else local_head(job, read_settings()),
            ray_address=found.ray_address or "auto",
            limit_seconds=job.spec.active_deadline_seconds,
        )
        supervisor = Supervisor(job, lambda: prepared, renderer, stops, around)
        try:
            return supervisor.run()
        finally:
            supervisor.close()


def _prepare(job: TrainingJob, found: argparse.Namespace) -> PreparedRun:
    store = open_store(found.store)
    probe_exclusive_create(store)
    code = Path(found.code).read_bytes() if found.code else None
    origin = open_store(found.restore_store) if found.restore_store else None
    return prepare_run(store, RunRequest(job, code, found.new, found.restore_from, restore_store=origin))


def _read_job(path: str) -> TrainingJob:
    try:
        return TrainingJob.model_validate(json.loads(Path(path).read_text()))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the job in {path} cannot be read: {error}", hint="Use `sojourn validate`.") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sojourn_trainer.node")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("pod", help="be a pod of a TrainingAttempt; the environment says of which")
    run = verbs.add_parser("run", help="run a TrainingJob on this machine")
    run.add_argument("--job", required=True, help="the TrainingJob as JSON")
    run.add_argument("--store", required=True, help="address of the run's store")
    run.add_argument("--code", help="tar archive of the task's code")
    run.add_argument("--new", action="store_true", help="begin a new run")
    run.add_argument("--restore-from", help="address of a checkpoint to start from")
    run.add_argument("--restore-store", help="address of the store that the job's restoreFrom names")
    run.add_argument("--ray-address", help="use this Ray cluster instead of a local one")
    run.add_argument("--events", default="plain", choices=("plain", "json"), help="form of the output")
    return parser
