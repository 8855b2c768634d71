"""The sending mover: offers a run of its store until the other side has it, or until it is told to fence the run."""

from __future__ import annotations

import logging
import threading
from typing import Any

from sojourn.errors import Refused, SojournError
from sojourn.mover.job import Job, outlive, reason_of
from sojourn.mover.settings import moves, selection, throttle
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Fence, Recipient
from sojourn.runlog.runs import find_run
from sojourn.store.identity import store_id
from sojourn.transfer.link import Listener
from sojourn.transfer.offer import Offer
from sojourn.transfer.outgoing import Order, Outgoing
from sojourn.transfer.relay import RelaySender
from sojourn.transfer.send import Callers, Sender

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


def send(job: Job) -> None:
    """Serve until it is over. Raises Interrupted when it is to stop before, SojournError when it cannot be done."""
    outgoing = outlive(job, lambda: _open(job))
    desk, done = job.desk, threading.Event()
    sender = Sender(outgoing, throttle(desk.spec), lambda child: done.set())
    relay: RelaySender | None = None
    try:
        # Only what can be offered is worth a connection.
        job.stages.start("Offer")
        offer = outlive(job, sender.offer)
        job.stages.finish("Offer")
        job.stages.start("Serve")
        relay = _connect(job, sender, outgoing)
        job.running("Waiting", run=run_of(offer), certificate=None if relay else job.me.certificate)
        _serve(job, outgoing, sender, relay, done)
    finally:
        _leave(job, outgoing, relay)


def _leave(job: Job, outgoing: Outgoing, relay: RelaySender | None) -> None:
    """Hold nothing any more, unless this process is to be replaced by another."""
    if job.ended.is_set() and not job.desk.deleting:
        return
    try:
        outgoing.release()
        if relay:
            relay.clean_up()
    except SojournError as error:
        # The transfer itself is over: pins end by themselves, files in a relay stay until somebody removes them.
        log.warning("not all was let go of: %s", error)


def _open(job: Job) -> Outgoing:
    store, spec = job.settings.store, job.desk.spec
    source = spec["source"]
    # A run that was fenced stays the one that was meant, whatever else has its name by now.
    prefix = job.desk.status.get("run", {}).get("prefix")
    if prefix:
        log = RunLog.open(store, prefix, env=job.env)
    else:
        log = find_run(store, source["run"], source.get("namespace", job.settings.object.namespace), job.env)
    identity = store_id(store)
    job.tell(store=job.settings.address, storeId=identity)
    transfer = f"transfer-{job.desk.metadata['uid']}"
    return Outgoing(
        log, selection(spec), transfer=transfer, address=job.settings.address, store_id=identity, env=job.env
    )


def _connect(job: Job, sender: Sender, outgoing: Outgoing) -> RelaySender | None:
    """Listen, call, or put everything into the relay."""
    settings, spec = job.settings, job.desk.spec
    if settings.relay:
        folder = f".sojourn-relay/{job.desk.metadata['uid']}"
        return RelaySender(outgoing, settings.relay, folder, throttle(spec))
    if spec.get("listener", "Source") == "Source":
        Listener(job.me, job.directory, sender.serve, settings.port, settings.host)
    else:
        Callers(job.me, job.directory, sender, job.ended).start(int(spec.get("streams", 8)))
    return None


def _serve(job: Job, outgoing: Outgoing, sender: Sender, relay: RelaySender | None, done: threading.Event) -> None:
    desk, sent, decided = job.desk, 0, None
    offered, told = "", sender.offered
    while True:
        job.check()
        if relay:
            offered = _put(job, relay, offered)
            if not moves(desk.spec) and outlive(job, relay.is_done):
                done.set()
        elif sender.sent_bytes != sent:
            if not sent:
                job.running()
            sent = sender.sent_bytes
            job.desk.progress(progress={"done": sent, "unit": "bytes"})
        if sender.offered and sender.offered is not told:
            told = sender.offered
            desk.report(run=run_of(told))
        wanted = _wanted(desk.spec)
        if wanted != decided:
            # What was refused belongs to a request that is no more.
            job.tell(refused=None)
            if wanted and _fence(job, outgoing, desk.spec["fence"]):
                return
            decided = wanted
        if done.is_set() and not moves(desk.spec):
            outlive(job, outgoing.release)
            job.stages.finish("Serve")
            job.succeed(progress={"done": sent, "total": sent, "unit": "bytes"})
            return
        outlive(job, outgoing.renew)
        desk.wait(_LOOK_SECONDS)


def _put(job: Job, relay: RelaySender, offered: str) -> str:
    key = outlive(job, lambda: relay.put(lambda done, total: job.count("Serve", done, total)))
    if key != offered:
        job.running(offer=key, run=run_of(relay.offered))
    return key


def _wanted(spec: Any) -> str:
    """Names a request to fence, so that each is answered once; "" if there is none to answer."""
    fence = spec.get("fence", {})
    return f"{fence}" if moves(spec) and fence.get("recipient") else ""


def _fence(job: Job, outgoing: Outgoing, wanted: Any) -> bool:
    to, migration = wanted["recipient"], wanted["migrationId"]
    recipient = Recipient(
        run_id=to["runId"], run=to.get("run", ""), store=to.get("store", ""), cluster=to.get("cluster", "")
    )
    order = wanted.get("takeover")

    def hand_over() -> Fence:
        term, manifest = int(wanted.get("term", 0)), wanted.get("manifest", "")
        if order and "fence" in order:
            overridden = Order(order["fence"], order["reason"], order.get("person", ""))
            outgoing.override(overridden, recipient, migration)
        elif order:
            term = _shut_out(outgoing.log, order, migration, term)
        return outgoing.fence(term=term, manifest=manifest, recipient=recipient, migration=migration)

    job.stages.start("Fence")
    try:
        fence = outlive(job, hand_over)
    except Refused as error:
        job.stages.fail(reason_of(error), error.message, "Fence")
        job.tell(refused={"migrationId": migration, "reason": reason_of(error), "message": error.message})
        return False
    job.stages.finish("Serve")
    job.stages.finish("Fence")
    fenced = {
        "migrationId": migration,
        "entry": fence.index,
        "digest": outgoing.log.state.fence_digest,
        "step": fence.step,
        "term": fence.term,
        "manifest": fence.manifest or None,
    }
    job.succeed(fenced=fenced, refused=None)
    return True


def run_of(offer: Offer) -> dict[str, Any]:
    """status.run."""
    state, commits = offer.origin.state, offer.carry.commits
    newest = {"step": commits[-1].step, "manifest": commits[-1].manifest} if commits else {}
    return {
        "runId": state.run_id,
        "name": state.name,
        "namespace": state.namespace,
        "prefix": offer.origin.prefix,
        "term": state.term,
        **newest,
    }


def _shut_out(run: RunLog, order: Any, migration: str, term: int) -> int:
    """Keep the order in the log of a run that nobody has handed over, by an attempt; the term to fence it with.

    From the attempt on, whoever trains the run still can commit nothing more. It begins only where everything of the
    term before was copied: what came in between makes the fence refuse, and another round follows.
    """
    attempt, state = f"takeover-{migration}", run.refresh()
    if state.fence is not None or (state.term != term and state.attempt_id != attempt):
        return term
    return run.begin_attempt(attempt, {"takeover": order["reason"], "person": order.get("person", "")})
