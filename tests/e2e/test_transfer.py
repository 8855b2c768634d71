"""Runs carried between two real clusters over a link that is shaped and cut, with movers that are killed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from e2e.clusters.access import Cluster
from e2e.clusters.network import Link
from e2e.clusters.volumes import claim, store_folder
from e2e.definitions import install_definitions
from e2e.operator_process import OperatorProcess
from e2e.transfers import End, Ends, store, stored_run, wait_for_bytes
from helpers.runs import assert_holds
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.errors import Fenced
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def namespaces(
    east: Cluster, west: Cluster, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, str]]:
    """A namespace with an operator on each cluster, by the cluster's name."""
    for cluster in (east, west):
        install_definitions(cluster)
    with east.namespace("away") as here, west.namespace("away") as there:
        processes = []
        for cluster, namespace in ((east, here), (west, there)):
            log = tmp_path_factory.mktemp("operator") / cluster.name
            process = OperatorProcess(cluster, namespace, log, {"mover-image": images["mover"]})
            process.start()
            processes.append(process)
        yield {"east": here, "west": there}
        for process in processes:
            process.stop()
            print(process.log.read_text()[-3000:])
        for namespace in (here, there):
            for folder in store_folder(namespace).parent.glob(f"{namespace}*"):
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ends(east: Cluster, west: Cluster, namespaces: Mapping[str, str], request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Objects yet to be made, one on each cluster; gone afterwards."""
    name = f"t-{request.node.name.removeprefix('test_')[:30].replace('_', '-').strip('-')}"
    both = Ends(End(east, namespaces["east"], name), End(west, namespaces["west"], name))
    yield both
    both.close()
    for end in (both.send, both.receive):
        end.kubectl("delete", "checkpointtransfer", name, "--ignore-not-found")
        end.kubectl("delete", "checkpointstores", "--all")


def test_a_move_over_a_slow_link_that_is_cut_with_movers_that_are_killed(ends: Ends, link: Link) -> None:
    here, there = store_folder(f"{ends.send.namespace}-a"), store_folder(f"{ends.receive.namespace}-a")
    source = stored_run(here, megabytes=200)
    for end, folder in ((ends.send, here), (ends.receive, there)):
        end.cluster.apply(*claim(end.namespace, "runs", folder), store(end.namespace))
    link.shape(rate_mbit=200, delay_ms=20)
    ends.begin(mode="Move")
    ends.receive.until(lambda status: status.get("phase") == "Running", "bytes flow")
    wait_for_bytes(there, 30 << 20)
    ends.send.kill()
    wait_for_bytes(there, 80 << 20)
    link.cut()
    time.sleep(5)
    link.heal()
    wait_for_bytes(there, 120 << 20)
    ends.receive.kill()
    verified = ends.receive.until(lambda status: "verified" in status, "all is there", 180)["verified"]
    assert verified["reusedBytes"] >= 100 << 20
    assert verified["bytes"] > 200 << 20
    fenced = ends.fence()
    for end in (ends.receive, ends.send):
        end.until(lambda status: status.get("phase") == "Succeeded", "it is over")
        end.cluster.kubectl(
            "wait",
            f"--namespace={end.namespace}",
            f"checkpointtransfer/{end.name}",
            "--for=condition=Complete",
            "--timeout=30s",
        )
    child = find_run(PosixStore(there), "digits", ends.receive.namespace)
    assert verify_run(child).ok
    assert_holds(child, 30)
    assert child.state.parent is not None
    assert child.state.parent.fence == fenced["digest"] == source.refresh().fence_digest
    with pytest.raises(Fenced):
        source.begin_attempt("here")


def test_a_copy_that_the_source_carries_to_a_listening_target(ends: Ends) -> None:
    here, there = store_folder(f"{ends.send.namespace}-b"), store_folder(f"{ends.receive.namespace}-b")
    source = stored_run(here, megabytes=100)
    for end, folder in ((ends.send, here), (ends.receive, there)):
        end.cluster.apply(*claim(end.namespace, "other", folder), store(end.namespace, claim="other"))
    ends.begin(mode="Copy", listener="Target")
    ends.receive.until(lambda status: status.get("phase") == "Succeeded", "it is over", 120)
    ends.send.until(lambda status: status.get("phase") == "Succeeded", "it is over")
    began = ends.receive.status()["began"]
    assert began["step"] == 30
    assert verify_run(find_run(PosixStore(there), "digits", ends.receive.namespace)).ok
    assert source.refresh().pins == ()
    source.begin_attempt("goes on")


def test_one_store_on_both_sides(ends: Ends, folder: Path) -> None:
    source = stored_run(folder, megabytes=50)
    for end in (ends.send, ends.receive):
        end.cluster.apply(*claim(end.namespace, "shared", folder), store(end.namespace, claim="shared"))
    ends.begin(mode="Move")
    verified = ends.receive.until(lambda status: "verified" in status, "all is there")["verified"]
    assert verified["adopted"]
    ends.fence()
    ends.receive.until(lambda status: status.get("phase") == "Succeeded", "it is over")
    child = find_run(PosixStore(folder), "digits", ends.receive.namespace)
    assert not list(child.store.list(f"{child.prefix}/data"))
    assert_holds(child, 30)
    assert source.refresh().fence is not None
