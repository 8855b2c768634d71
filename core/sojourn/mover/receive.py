"""The receiving mover: brings what the other side offers into its store, verified, and begins the run there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from sojourn.errors import CorruptData, SojournError
from sojourn.mover.job import Job, outlive
from sojourn.mover.send import run_of
from sojourn.mover.settings import moves, throttle
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Recipient
from sojourn.store.identity import store_id
from sojourn.store.probe import probe_exclusive_create
from sojourn.transfer.fetch import CopyReport, TransferProgress, Watchers
from sojourn.transfer.incoming import Incoming, Place, abandon, kept_offer
from sojourn.transfer.link import Listener
from sojourn.transfer.offer import Offer
from sojourn.transfer.reader import Reader
from sojourn.transfer.receive import Accepted, Dialled, RemoteSource
from sojourn.transfer.relay import RelayedSource

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class Source(Reader, Protocol):
    """The other side, directly or through a relay."""

    def offer(self) -> Offer: ...

    def done(self, child: Recipient) -> None: ...

    def close(self) -> None: ...


@dataclass
class _Receiver:
    job: Job
    place: Place
    direct: RemoteSource | None
    prefix: str = ""

    @property
    def spec(self) -> Any:
        return self.job.desk.spec

    @property
    def moves(self) -> bool:
        return moves(self.spec)

    def source(self) -> Source:
        """Where to ask now; waits for the peer to be known."""
        while True:
            self.job.check()
            known = self.spec.get("peer", {})
            if self.direct:
                if known.get("certificate"):
                    return self.direct
            elif known.get("offer") and self.job.settings.relay:
                return RelayedSource(self.job.settings.relay, known["offer"], throttle(self.spec))
            self.job.desk.wait(_LOOK_SECONDS)


def receive(job: Job) -> None:
    """Bring it, and begin the run. Raises Interrupted when it is to stop, SojournError when it cannot be done."""
    receiver = outlive(job, lambda: _open(job))
    try:
        if not _begin_kept(receiver):
            while not _round(receiver):
                continue
    finally:
        if receiver.direct:
            receiver.direct.close()
        if job.desk.deleting and receiver.prefix:
            try:
                abandon(receiver.place.store, receiver.prefix, job.env)
            except SojournError as error:
                log.warning("%s: what had arrived is still there: %s", receiver.prefix, error)


def _open(job: Job) -> _Receiver:
    settings, spec = job.settings, job.desk.spec
    target = spec["target"]
    probe_exclusive_create(settings.store, rounds=3)
    place = Place(
        store=settings.store,
        address=settings.address,
        store_id=store_id(settings.store),
        namespace=target.get("namespace", settings.object.namespace),
        name=target.get("name", ""),
    )
    job.stages.start("Connect")
    certificate = None if settings.relay else job.me.certificate
    job.running("Waiting", store=place.address, storeId=place.store_id, certificate=certificate)
    return _Receiver(job, place, None if settings.relay else _direct(job))


def _direct(job: Job) -> RemoteSource:
    spec, settings = job.desk.spec, job.settings
    connections: Dialled | Accepted = Dialled(job.me, job.directory)
    if spec.get("listener", "Source") == "Target":
        connections = Accepted(2 * int(spec.get("streams", 8)))
        Listener(job.me, job.directory, connections.put, settings.port, settings.host)
    return RemoteSource(connections, job.ended, throttle(spec))


def _round(receiver: _Receiver) -> bool:
    """Bring what is offered now; whether the run has begun by it. False asks for another round."""
    job, number = receiver.job, int(receiver.spec.get("round", 1))
    arriving, source = outlive(job, lambda: _attempt(receiver, number))
    if arriving.begun():
        _tell_began(receiver, arriving, source)
        return True
    if not receiver.moves:
        outlive(job, arriving.begin)
        _tell_began(receiver, arriving, source)
        return True
    while int(receiver.spec.get("round", 1)) <= number:
        job.check()
        if _digest(receiver.spec):
            _begin(receiver, arriving)
            return True
        job.desk.wait(_LOOK_SECONDS)
    return False


def _attempt(receiver: _Receiver, number: int) -> tuple[Incoming, Source]:
    # After trouble the offer is asked for again: the source may have gone on meanwhile, or be another process.
    arriving, source = _ask(receiver)
    if not arriving.begun():
        _bring(receiver, arriving, source, number)
    return arriving, source


def _ask(receiver: _Receiver) -> tuple[Incoming, Source]:
    source = receiver.source()
    arriving = Incoming(source.offer(), receiver.place, moves=receiver.moves, env=receiver.job.env)
    plan = arriving.plan()
    said = {
        "files": len(plan.missing) + len(plan.present),
        "bytes": plan.total_bytes,
        "missingFiles": len(plan.missing),
        "missingBytes": plan.missing_bytes,
        "adopted": arriving.adopts,
    }
    receiver.prefix = arriving.prefix
    receiver.job.stages.finish("Connect")
    receiver.job.running(run=run_of(arriving.offer), child=_child(arriving.recipient), plan=said)
    return arriving, source


def _bring(receiver: _Receiver, arriving: Incoming, source: Source, number: int) -> None:
    job = receiver.job

    def copying(at: TransferProgress) -> None:
        job.check()
        job.count("Transfer", at.done, at.total)

    def checking(at: TransferProgress) -> None:
        job.check()
        job.stages.start("Verify")
        job.count("Verify", at.done, at.total)

    job.stages.start("Transfer")
    job.running()
    streams = int(receiver.spec.get("streams", 8))
    report = arriving.bring(source, Watchers(copying, checking), streams)
    job.stages.finish("Transfer")
    job.stages.finish("Verify")
    job.running("Verified", verified=_verified(arriving, report, number))


def _verified(arriving: Incoming, report: CopyReport, number: int) -> dict[str, Any]:
    run, plan = run_of(arriving.offer), arriving.plan()
    return {
        "round": number,
        "term": run["term"],
        "step": run.get("step"),
        "manifest": run.get("manifest"),
        "files": len(plan.present),
        "bytes": report.total_bytes,
        "copiedBytes": report.copied_bytes,
        "reusedBytes": report.reused_bytes,
        "adopted": arriving.adopts,
    }


def _begin_kept(receiver: _Receiver) -> bool:
    """Begin what was verified and fenced before this process, without the source; whether there was such."""
    job, status = receiver.job, receiver.job.desk.status
    verified, child = status.get("verified", {}), status.get("child", {})
    receiver.prefix = child.get("run", "")
    fenced = _digest(receiver.spec) and verified.get("manifest", "") == receiver.spec["fence"].get("manifest", "")
    if not receiver.prefix or not receiver.moves or not fenced:
        return False
    offer = outlive(job, lambda: kept_offer(receiver.place.store, receiver.prefix))
    if offer is None:
        return False
    job.stages.finish("Verify")
    _begin(receiver, Incoming(offer, receiver.place, moves=True, env=job.env))
    return True


def _begin(receiver: _Receiver, arriving: Incoming) -> None:
    job, fence = receiver.job, receiver.spec["fence"]
    job.stages.start("Begin")
    outlive(job, lambda: arriving.begin(fence=fence["digest"], manifest=fence.get("manifest", "")))
    _tell_began(receiver, arriving, None)


def _tell_began(receiver: _Receiver, arriving: Incoming, source: Source | None) -> None:
    log = outlive(receiver.job, arriving.begun)
    if log is None:
        raise CorruptData(f"run {arriving.prefix} was begun and is not there")
    receiver.job.stages.finish("Begin")
    receiver.job.running(began=_child(arriving.recipient, log))
    if source and not receiver.moves:
        # The run exists; a source that cannot be told keeps its pin for a day and waits for its own end.
        outlive(receiver.job, lambda: source.done(arriving.recipient))
    receiver.job.succeed()


def _child(recipient: Recipient, log: RunLog | None = None) -> dict[str, Any]:
    said = {"runId": recipient.run_id, "run": recipient.run, "store": recipient.store}
    return said | {"step": log.state.latest.step if log and log.state.latest else None} if log else said


def _digest(spec: Any) -> str:
    return str(spec.get("fence", {}).get("digest", ""))
