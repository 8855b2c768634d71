"""What the short pods do to a store, and what they leave behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helpers.runs import Clock, add_export, trained_run
from sojourn.checkpoint.verify import verify_run
from sojourn.errors import InvalidInput
from sojourn.mover.main import main
from sojourn.runlog.log import RunLog
from sojourn.store.environment import store_from_environment
from sojourn.store.identity import KEY, store_id
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, copy_run


def run(verb: str, folder: Path, **variables: str) -> tuple[int, Mapping[str, Any]]:
    """Exit code and result of a pod on the store `folder`/store."""
    result = folder / "result"
    code = main([verb], {"SOJOURN_STORE": str(folder / "store"), "SOJOURN_RESULT": str(result), **variables})
    found: Mapping[str, Any] = json.loads(result.read_text())
    return code, found


def test_a_probe_leaves_what_it_found_and_nothing_in_the_store(tmp_path: Path) -> None:
    code, found = run("probe", tmp_path, SOJOURN_STORE_URI="pvc://runs")
    assert code == 0
    assert (found["ready"], found["reason"], found["uri"]) == (True, "Probed", "pvc://runs")
    assert found["freeBytes"] > 0
    store = PosixStore(tmp_path / "store")
    assert found["storeId"] == store_id(store)
    assert [info.key for info in store.list()] == [KEY]
    assert run("probe", tmp_path)[1]["storeId"] == found["storeId"]


def test_a_probe_of_what_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    code, found = run("probe", tmp_path)
    assert (code, found["ready"], found["reason"]) == (0, False, "Unreachable")
    code, found = run("probe", tmp_path, SOJOURN_STORE="ftp://elsewhere")
    assert (code, found["reason"]) == (0, "Invalid")


def test_retiring_a_checkpoint_deletes_its_files(tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "store")
    log = trained_run(store, Clock().env())
    key = log.state.commits[1].checkpoint
    code, found = run("retire", tmp_path, SOJOURN_RUN=log.prefix, SOJOURN_CHECKPOINT=key)
    assert (code, found["done"]) == (0, True)
    assert found["bytes"] > 0
    assert not list(store.list(f"{log.prefix}/{key}"))
    assert [commit.step for commit in log.refresh().commits] == [10, 30]
    assert verify_run(log).ok
    assert run("retire", tmp_path, SOJOURN_RUN=log.prefix, SOJOURN_CHECKPOINT=key) == (0, {"done": True, "bytes": 0})


def test_what_a_reader_holds_is_not_retired(tmp_path: Path) -> None:
    log = trained_run(PosixStore(tmp_path / "store"), Clock().env())
    key = log.state.commits[0].checkpoint
    log.pin([key], holder="somebody", until=None)
    code, found = run("retire", tmp_path, SOJOURN_RUN=log.prefix, SOJOURN_CHECKPOINT=key)
    assert (code, found["done"], found["reason"]) == (4, False, "Pinned")
    assert verify_run(log).ok


def test_an_adopted_checkpoint_is_given_back(tmp_path: Path) -> None:
    clock, store = Clock(), PosixStore(tmp_path / "store")
    parent = trained_run(store, clock.env())
    child = copy_run(parent, Destination(store, name="branch"), env=clock.env()).child
    for commit in child.state.commits:
        run("retire", tmp_path, SOJOURN_RUN=child.prefix, SOJOURN_CHECKPOINT=commit.checkpoint)
    assert RunLog.open(store, child.prefix).state.commits == ()
    assert parent.refresh().pins == ()
    assert verify_run(parent).ok


def test_files_of_a_run_that_is_gone(tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "store")
    store.put("team/digits-x/data/1-1-u/a", b"left")
    code, found = run("retire", tmp_path, SOJOURN_RUN="team/digits-x", SOJOURN_CHECKPOINT="data/1-1-u")
    assert (code, found["bytes"]) == (0, 4)


def test_exports_are_left_alone(tmp_path: Path) -> None:
    log = trained_run(PosixStore(tmp_path / "store"), Clock().env())
    add_export(log, 2)
    run("retire", tmp_path, SOJOURN_RUN=log.prefix, SOJOURN_CHECKPOINT=log.state.commits[0].checkpoint)
    assert [export.version for export in log.refresh().exports] == [1, 2]


def test_a_mover_outside_of_a_pod_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send"], {}) == 2
    with pytest.raises(SystemExit):
        main(["dance"], {})
    assert "invalid choice" in capsys.readouterr().err


def test_the_store_of_a_pod() -> None:
    environment = {
        "SOJOURN_STORE": "memory://one",
        "SOJOURN_RELAY_STORE": "s3://bucket/prefix",
        "SOJOURN_RELAY_STORE_REGION": "eu-central-1",
        "SOJOURN_RELAY_STORE_ENDPOINT": "http://127.0.0.1:1",
        "SOJOURN_RELAY_AWS_ACCESS_KEY_ID": "key",
        "SOJOURN_RELAY_AWS_SECRET_ACCESS_KEY": "secret",
    }
    assert store_from_environment(environment).uri == "memory://one"
    assert store_from_environment(environment, "SOJOURN_RELAY_").uri == "s3://bucket/prefix"
    with pytest.raises(InvalidInput, match="SOJOURN_STORE is not set"):
        store_from_environment({})


def test_two_who_ask_first_get_one_id() -> None:
    class Late(MemoryStore):
        """Somebody makes the id between our look and our write."""

        def create(self, key: str, data: Any) -> None:
            self.create = super().create  # type: ignore[method-assign]
            store_id(self, lambda: "theirs")
            super().create(key, data)

    assert store_id(Late(), lambda: "ours") == "theirs"
