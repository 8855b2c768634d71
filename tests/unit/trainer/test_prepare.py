"""The code of a job is found again with its run, also where the job has changed on the way."""

from __future__ import annotations

import pytest

from helpers.manifests import JOB, changed
from sojourn.api import TrainingJob
from sojourn.checkpoint.digest import digest
from sojourn.errors import InvalidInput
from sojourn.store.memory import MemoryStore
from sojourn_trainer.driver.prepare import CODE_FILE, RunRequest, keep_job

CODE = b"an archive"
PREFIX = "team/digits-1"
WITH_CODE = changed(JOB, {"spec.task.code": {"archive": {"digest": digest(CODE)}}})


def request(code: bytes | None = None, **changes: object) -> RunRequest:
    return RunRequest(TrainingJob.from_manifest(changed(WITH_CODE, changes)), code)


def test_code_is_kept_under_the_job_that_brought_it() -> None:
    store = MemoryStore("memory://prepare-1")
    folder = keep_job(store, PREFIX, request(CODE))
    assert store.read(f"{PREFIX}/{folder}/{CODE_FILE}") == CODE
    assert keep_job(store, PREFIX, request()) == folder


def test_a_moved_job_finds_the_code_that_came_with_its_run() -> None:
    store = MemoryStore("memory://prepare-2")
    before = keep_job(store, PREFIX, request(CODE))
    after = keep_job(store, PREFIX, request(**{"metadata.namespace": "elsewhere"}))
    assert after != before
    assert store.read(f"{PREFIX}/{after}/{CODE_FILE}") == CODE


def test_code_of_another_digest_is_not_taken() -> None:
    store = MemoryStore("memory://prepare-3")
    keep_job(store, PREFIX, request(CODE))
    store.put(f"{PREFIX}/job/other/{CODE_FILE}", b"something else")
    wanted = {"spec.task.code": {"archive": {"digest": digest(b"third")}}}
    with pytest.raises(InvalidInput, match="not with the run"):
        keep_job(store, PREFIX, request(**wanted))
