"""One hand-over between two clusters that are torn apart right before, at and after the fence; one side trains, ever.

The target has two operators at once, one of which does not ask who leads: both start what they see.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from e2e.attempts import CODE
from e2e.clusters.faults import frozen_api_server
from e2e.clusters.network import Link
from e2e.clusters.volumes import claim
from e2e.journeys import Place, complete
from e2e.operator_process import OperatorProcess
from e2e.test_migration import JOB
from e2e.transfers import store, until
from sojourn.errors import NotFound
from sojourn.runlog.errors import Fenced
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Attempt
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def there(places: tuple[Place, Place], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """West, where two operators act at the same time."""
    there = places[1]
    if there.cluster.site is None:
        pytest.skip("clusters that were brought along are not this project's to break")
    log = tmp_path_factory.mktemp("twin") / "west.log"
    twin = OperatorProcess(there.cluster, there.namespace, log, {**there.operator.settings, "leader-elect": "false"})
    twin.start()
    yield there
    twin.stop()


@pytest.fixture(scope="module")
def here(places: tuple[Place, Place]) -> Place:
    """East, where the job trains, and where the migration is made."""
    here = places[0]
    here.apply_code(CODE)
    here.apply_job("digits", JOB)
    here.job().trains(beyond=0)
    return here


@contextmanager
def torn_apart(link: Link, there: Place) -> Iterator[None]:
    """Within the block nothing gets from one cluster to the other, and the other's API server does not answer."""
    assert there.cluster.site is not None
    link.cut()
    with frozen_api_server(there.cluster.site):
        yield
    link.heal()
    # The one that leads has ended when it could not say so any more; a Deployment starts another.
    there.operator.stop()
    there.operator.start()


@contextmanager
def paused_mover(place: Place, transfer: str) -> Iterator[None]:
    """Within the block a mover's processes stand still."""
    marks = (
        f"SOJOURN_TRANSFER_NAME={transfer}\0".encode(),
        f"SOJOURN_TRANSFER_NAMESPACE={place.namespace}\0".encode(),
    )
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            environment = (folder / "environ").read_bytes()
            if all(mark in environment for mark in marks):
                found.append(int(folder.name))
    assert found
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in found:
            os.kill(pid, signal.SIGCONT)


def run_in(place: Place) -> RunLog:
    return find_run(PosixStore(place.folder), "digits", place.namespace)


def attempts(log: RunLog) -> list[Attempt]:
    return [entry.body for entry in log.entries() if isinstance(entry.body, Attempt)]


def test_torn_apart_before_at_and_after_the_fence_the_run_has_one_owner(here: Place, there: Place, link: Link) -> None:
    source = run_in(here)
    link.cut()
    here.migrate(
        "go",
        mode="Cold",
        source={"trainingJob": "digits"},
        target={"cluster": here.other, "namespace": there.namespace},
        resume={},
    )

    # Before: neither side trains, and the run is still the source's. The movers know each other.
    here.until("go", lambda status: status.get("phase") == "Transfer", "the source has stopped")
    send = {"kind": "checkpointtransfer", "name": "go-send", "namespace": here.namespace}
    receive = {"kind": "checkpointtransfer", "name": "go-receive", "namespace": there.namespace}
    for place, end in ((here, send), (there, receive)):
        until(partial(place.cluster.get, **end), lambda found: "peer" in found["spec"], "it knows its peer")
    with torn_apart(link, there):
        _starts_again_and_sees_nothing(here)
        assert here.job().status()["phase"] == "Suspended"
        assert source.refresh().fence is None
        here.operator.kill()

    # All has arrived, and the mover that is to write the fence stands still when it is asked to.
    until(lambda: there.cluster.get(**receive).get("status", {}), lambda status: "verified" in status, "all arrived")
    with ExitStack() as torn:
        with paused_mover(here, "go-send"):
            here.operator.start()
            here.until("go", lambda status: status.get("phase") == "Fence", "the fence is asked for", 60)
            assert source.refresh().fence is None
            torn.enter_context(torn_apart(link, there))
        # At: it is written while nobody can tell the target.
        fenced = here.until("go", lambda status: "fenced" in status, "the log has answered", 60)["fenced"]
        assert source.refresh().fence_digest == fenced["digest"]
        here.until("go", lambda status: _condition(status, "AwaitingTarget") == "True", "it waits for the target", 60)
        # Whoever starts the source's job again, say by GitOps, sees it refused.
        here.job().patch(suspend=False)
        here.job().phase("OwnedElsewhere", 180)
        with pytest.raises(NotFound):
            run_in(there)

    # After: the target has begun the run, and is gone again.
    here.until("go", lambda status: status.get("phase") == "Resume", "the target has begun", 120)
    with torn_apart(link, there):
        _starts_again_and_sees_nothing(here)
        assert here.job().status()["phase"] == "OwnedElsewhere"
        with pytest.raises(Fenced):
            source.begin_attempt("somebody")

    status = here.until("go", complete, "the migration is complete")
    assert status["resumedStep"] == status["committedStep"]
    child = run_in(there)
    assert child.state.parent is not None
    assert child.state.parent.fence == fenced["digest"]
    # The source's last word came before the fence, the target's first after it; of two starts there one counts.
    (started,) = attempts(child)
    assert source.refresh().fence is not None
    assert started.time > source.state.fence.time > source.state.commits[-1].time


@pytest.mark.long
def test_a_run_that_trains_on_in_a_cluster_out_of_reach_is_shut_out_by_a_takeover(here: Place, there: Place) -> None:
    """Its store lives. The pods there neither know of the takeover nor stop, and can commit nothing more."""
    assert here.cluster.site is not None
    there.job().patch(suspend=True)
    # A round of the transfer has to fit between two of its commits: the fence is compare-and-append.
    slowly = {**JOB, "checkpoint": {**JOB["checkpoint"], "every": {"seconds": 15}}}
    here.apply_job("orphan", slowly)
    here.job("orphan").trains(beyond=0)
    orphan = find_run(PosixStore(here.folder), "orphan", here.namespace)
    there.apply_code(CODE)
    there.cluster.apply(*claim(there.namespace, "lost", here.folder), store(there.namespace, "lost", "lost"))
    there.apply_job("orphan", {**slowly, "suspend": True})
    here.operator.kill()
    with frozen_api_server(here.cluster.site):
        ordered = _sojourn(
            there,
            *("takeover", "orphan", f"--run={orphan.prefix}", "--from-store=lost", "--yes", "--no-wait"),
            *("--reason=nobody reaches east", "--person=ada"),
        )
        (rescue,) = re.findall(r"Migration (\S+) created", ordered)
        status = there.until(rescue, complete, "the migration is complete")
    here.operator.start()
    fence = orphan.refresh().fence
    assert fence is not None
    assert status["resumedStep"] == fence.step
    # The log says why, and who wanted it.
    order = attempts(orphan)[-1]
    assert order.info == {"takeover": "nobody reaches east", "person": "ada"}
    assert order.term == fence.term
    child = find_run(PosixStore(there.folder), "orphan", there.namespace)
    assert child.state.parent is not None
    assert child.state.parent.fence == orphan.state.fence_digest
    # When its cluster is there again it learns whose the run is.
    here.job("orphan").phase("OwnedElsewhere", 180)
    assert orphan.refresh().commits[-1].step == fence.step


def _sojourn(place: Place, *arguments: str) -> str:
    """Run the command line in that place; what it tells."""
    where = [f"--kubeconfig={place.cluster.kubeconfig}", f"--namespace={place.namespace}"]
    command = [sys.executable, "-m", "sojourn.cli.main", *arguments, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _starts_again_and_sees_nothing(here: Place) -> None:
    """The operator that decides dies, and its successor knows nothing of the other cluster."""
    here.operator.kill()
    here.operator.start()
    blind = ("Connecting", "ClusterNotReady")
    here.until("go", lambda status: _reason(status) in blind, "it has looked for the other cluster in vain", 60)


def _reason(status: dict[str, object]) -> str:
    stages = status.get("pipeline", ())
    assert isinstance(stages, list | tuple)
    return next((str(stage.get("reason", "")) for stage in stages if stage["phase"] == "Running"), "")


def _condition(status: dict[str, object], kind: str) -> str:
    conditions = status.get("conditions", ())
    assert isinstance(conditions, list | tuple)
    return next((str(one["status"]) for one in conditions if one["type"] == kind), "")
