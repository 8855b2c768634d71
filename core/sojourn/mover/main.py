"""Starts a mover: reads its environment, follows its object, and turns what happens into a status and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from sojourn.errors import SojournError
from sojourn.incluster import ApiServer, ObjectClient, in_cluster
from sojourn.mover.desk import Desk
from sojourn.mover.job import STOPPED, Job, reason_of
from sojourn.mover.settings import Settings, peer
from sojourn.mover.stages import Stages, rfc3339
from sojourn.runlog.env import Env
from sojourn.transfer.errors import Interrupted
from sojourn.transfer.link import Directory
from sojourn.transfer.tls import make_identity

log = logging.getLogger(__name__)

_LAST_REPORT_SECONDS = 30.0
_STAGES = {"send": ["Offer", "Serve"], "receive": ["Connect", "Transfer", "Verify", "Begin"]}


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run one of the verbs; the exit code is that of the error, 143 if it was stopped, 0 if all is done."""
    parser = argparse.ArgumentParser(prog="python -m sojourn.mover", description="Pods that touch stores.")
    parser.add_argument("verb", choices=["send", "receive", "probe", "retire"])
    verb = parser.parse_args(arguments).verb
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if verb == "probe":
        from sojourn.mover.probe import probe

        return probe(environment)
    if verb == "retire":
        from sojourn.mover.retire import retire

        return retire(environment)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        return move(verb, environment, in_cluster(environment), ended)
    except SojournError as error:
        log.error("%s", error)
        return error.exit_code


def move(verb: str, environment: Mapping[str, str], server: ApiServer, ended: threading.Event) -> int:
    """Send or receive, for the object and the store that the environment names. Raises InvalidInput."""
    settings, env = Settings.load(environment), Env()
    directory = Directory()
    desk = Desk(ObjectClient(server, settings.object), ended, watcher=lambda spec: directory.set(peer(spec)))
    desk.open()
    if ended.is_set() or desk.status.get("phase") in ("Succeeded", "Failed"):
        return 0
    names = list(_STAGES[verb])
    if verb == "send" and desk.spec.get("mode") == "Move":
        names.append("Fence")
    me = make_identity(f"{settings.object.namespace}/{settings.object.name}")
    job = Job(desk, settings, me, directory, Stages(names, env.now), env, ended)
    job.running("Waiting", pod=settings.pod or None, startTime=rfc3339(env.now()))
    code = _end(job, _verb(verb))
    # Whoever waits for a report that could not be made needs another try, however well the work ended.
    return code if desk.flush(_LAST_REPORT_SECONDS) or ended.is_set() else STOPPED


def _verb(name: str) -> Callable[[Job], None]:
    if name == "send":
        from sojourn.mover.send import send

        return send
    from sojourn.mover.receive import receive

    return receive


def _end(job: Job, work: Callable[[Job], None]) -> int:
    try:
        work(job)
    except Interrupted:
        log.info("stopped")
        return 0 if job.desk.deleting else STOPPED
    except SojournError as error:
        log.error("%s", error)
        reason = reason_of(error)
        job.stages.fail(reason, error.message)
        job.tell(
            phase="Failed",
            reason=reason,
            message=error.message,
            hint=error.hint,
            completionTime=rfc3339(job.env.now()),
        )
        return error.exit_code
    return 0
