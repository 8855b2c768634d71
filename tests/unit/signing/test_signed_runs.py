"""Signatures of checkpoints and exports of a run: what they promise, and that they go where the files go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.runs import Clock, add_export, commit_step, trained_run
from helpers.signing import NOON, new_key, public_pem
from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.files import load_file_set
from sojourn.checkpoint.retention import RetentionPolicy
from sojourn.checkpoint.sweep import sweep
from sojourn.checkpoint.verify import VerifyReport
from sojourn.client.sign import location, sign
from sojourn.client.verify import verify
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, ExportInfo
from sojourn.signing.bundle import Bundle
from sojourn.signing.check import check_stored
from sojourn.signing.errors import BadSignature
from sojourn.signing.keys import Signer, load_trust
from sojourn.signing.sign import sign_stored
from sojourn.signing.statement import SIGNATURE_FILE, Statement
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, copy_run
from sojourn.transfer.move import move_run

KEY = new_key()
BY, TRUST = Signer(KEY), load_trust([public_pem(KEY)])


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return trained_run(PosixStore(tmp_path / "store"), Clock().env())


def checked(log: RunLog, run: str = "digits", **options: object) -> VerifyReport:
    return verify(run, store=log.store, trust=TRUST, **options)  # type: ignore[arg-type]


def signature(log: RunLog, info: CommitInfo | ExportInfo) -> str:
    return f"{location(log, info)}/{SIGNATURE_FILE}"


def problems(report: VerifyReport) -> str:
    return "\n".join(f"{problem.where}: {problem.message}" for problem in report.problems)


def test_signing_everything_of_a_run(log: RunLog) -> None:
    signed = sign("digits", BY, store=log.store, everything=True)
    assert [one.signature for one in signed] == [signature(log, i) for i in (*log.state.commits, *log.state.exports)]
    assert signed[0].bytes > log.state.commits[0].bytes
    report = checked(log)
    assert report.ok
    assert report.signers == (BY.name,)
    assert verify("digits", store=log.store).signers == ()


def test_signing_one_thing_at_a_time(log: RunLog) -> None:
    sign("digits", BY, store=log.store)
    sign("digits@10", BY, store=log.store)
    sign("digits", BY, store=log.store, export=0)
    assert checked(log, "digits@latest").ok
    assert checked(log, "digits@10").ok
    assert checked(log, export=1).ok
    report = checked(log)
    assert problems(report).count("is not signed: model.sig is missing there") == 1
    assert report.problems[0].where == log.state.commits[1].location(log.prefix)
    with pytest.raises(NotFound, match="has no export 7"):
        sign("digits", BY, store=log.store, export=7)


def test_by_the_hash_that_other_tools_want(log: RunLog) -> None:
    sign("digits", BY, store=log.store, everything=True, algorithm="sha256")
    assert checked(log).ok
    files = location(log, log.state.commits[1])
    payload = Bundle.from_bytes(log.store.read(f"{files}/{SIGNATURE_FILE}"), source="it").payload
    signed = {item.path: item for item in Statement.from_bytes(payload, source="it").resources}
    for name in ("ckpt.index", "manifest.json"):
        assert signed[name].digest == hashlib.sha256(log.store.read(f"{files}/{name}")).digest()
    flipped(log)
    with pytest.raises(CorruptData, match="the bytes do not match the recorded digest"):
        sign("digits@20", BY, store=log.store, algorithm="sha256")


def test_a_signed_checkpoint_is_a_signed_folder_too(log: RunLog) -> None:
    sign("digits@20", BY, store=log.store)
    folder = Path(log.store.uri.removeprefix("file://"), location(log, log.state.commits[1]))
    report = verify(str(folder), trust=TRUST)
    assert report.ok
    assert report.files == 4
    with pytest.raises(InvalidInput, match="only its signature can say"):
        verify(str(folder))


def swapped(log: RunLog) -> str:
    """The signature of one checkpoint beside another."""
    one, two, _ = log.state.commits
    log.store.put(signature(log, two), log.store.read(signature(log, one)))
    return "is not of these files: it was made for 'digits@10'"


def flipped(log: RunLog) -> str:
    key = f"{location(log, log.state.commits[1])}/ckpt.data-00000-of-00002"
    data = bytearray(log.store.read(key))
    data[7] ^= 1
    log.store.put(key, data)
    return "the bytes do not match the manifest's digest"


def added(log: RunLog) -> str:
    log.store.put(f"{location(log, log.state.commits[1])}/evil.so", b"x")
    return "holds evil.so, which"


def cut(log: RunLog) -> str:
    key = signature(log, log.state.commits[1])
    log.store.put(key, log.store.read(key)[:-20])
    return "is not a model signature"


def linked(log: RunLog) -> str:
    path = Path(log.store.uri.removeprefix("file://"), location(log, log.state.commits[1]), "ckpt.index")
    path.symlink_to(path.rename(path.parent.parent / "index"))
    return "is a symbolic link"


def by_another(log: RunLog) -> str:
    sign("digits@20", Signer(new_key()), store=log.store)
    return "was made with key"


@pytest.mark.parametrize("change", [swapped, flipped, added, cut, linked, by_another])
def test_what_is_not_as_it_was_signed_is_named(log: RunLog, change: Callable[[RunLog], str]) -> None:
    sign("digits", BY, store=log.store, everything=True)
    said = change(log)
    report = checked(log)
    assert said in problems(report)
    assert {problem.where for problem in report.problems} == {location(log, log.state.commits[1])}


@pytest.mark.parametrize("change", [flipped, added, linked])
def test_nothing_is_signed_that_is_not_what_was_written(log: RunLog, change: Callable[[RunLog], str]) -> None:
    change(log)
    with pytest.raises(CorruptData):
        sign("digits@20", BY, store=log.store)
    assert not [info for info in log.store.list() if info.key.endswith(SIGNATURE_FILE)]


def test_a_signed_folder_in_the_place_of_another_is_found_by_what_it_says_itself(log: RunLog) -> None:
    """Whoever can write the store puts a good old checkpoint where a new one was, and makes the log name it."""
    one, two, _ = log.state.commits
    sign("digits@10", BY, store=log.store)
    for info in list(log.store.list(location(log, one))):
        log.store.put(info.key.replace(one.checkpoint, two.checkpoint), log.store.read(info.key))
    forged = replace(two, manifest=one.manifest)
    files = load_file_set(log.store, location(log, two), one.manifest)
    with pytest.raises(BadSignature, match=f"checkpoint {one.checkpoint} was signed, and the log says .*20-1-"):
        check_stored(log.store, files, forged, TRUST, NOON)
    with pytest.raises(BadSignature, match="step 10 was signed, and the log says step 20"):
        check_stored(
            log.store, load_file_set(log.store, location(log, one), one.manifest), replace(one, step=20), TRUST, NOON
        )


def test_an_export_in_the_place_of_another(log: RunLog) -> None:
    folder = f"{log.prefix}/export/2"
    body = json.dumps({"version": 2, "step": 20, "files": []}).encode()
    log.store.put(f"{folder}/manifest.json", body)
    info = ExportInfo(version=2, key="export/2", manifest=digest(body), step=20)
    files = load_file_set(log.store, folder, info.manifest)
    sign_stored(log.store, files, "digits@20", BY, lambda done, total: None)
    assert check_stored(log.store, files, info, TRUST, NOON) == BY.name
    with pytest.raises(BadSignature, match="version 2 was signed, and the log says version 3"):
        check_stored(log.store, files, replace(info, version=3), TRUST, NOON)


@pytest.mark.parametrize("carry", [copy_run, move_run])
def test_signatures_go_along(log: RunLog, carry: Callable[..., object]) -> None:
    sign("digits", BY, store=log.store, everything=True)
    there = MemoryStore()
    carry(log, Destination(there), env=Clock().env())
    report = verify("digits", store=there, trust=TRUST)
    assert report.ok
    assert report.checkpoints >= 2


def test_an_unsigned_run_is_carried_as_before(log: RunLog) -> None:
    there = MemoryStore()
    copy_run(log, Destination(there), env=Clock().env())
    assert not [info for info in there.list() if info.key.endswith(SIGNATURE_FILE)]


def test_the_signature_of_a_retired_checkpoint_goes_with_it(log: RunLog) -> None:
    sign("digits", BY, store=log.store, everything=True)
    first = log.state.commits[0]
    sweep(log, RetentionPolicy(keep_last=1), term=log.state.term, now=NOON)
    assert not list(log.store.list(location(log, first)))


def test_signing_what_is_retired_meanwhile(log: RunLog) -> None:
    first = log.state.commits[0]

    def retire(done: int, total: int) -> None:
        if first in log.refresh().commits:
            log.retire(term=log.state.term, keys=[first.checkpoint], reason="test")

    with pytest.raises(NotFound, match="was retired while it was signed"):
        sign("digits@10", BY, store=log.store, progress=retire)
    assert not list(log.store.list(location(log, first)))


def test_the_newest_can_be_signed_while_training_goes_on(log: RunLog) -> None:
    sign("digits", BY, store=log.store)
    commit_step(log, 40)
    add_export(log, 2)
    assert checked(log, "digits@30").ok
    assert not checked(log, "digits").ok


def test_an_older_state_of_the_run_in_its_place_is_refused_by_the_expected_head(log: RunLog) -> None:
    sign("digits", BY, store=log.store, everything=True)
    old = {info.key: log.store.read(info.key) for info in log.store.list()}
    commit_step(log, 40)
    sign("digits", BY, store=log.store)
    head = str(log.head)
    assert checked(log, expect_head=head).ok
    replaced = MemoryStore()
    for key, data in old.items():
        replaced.put(key, data)
    assert verify("digits", store=replaced, trust=TRUST).ok, "signatures alone cannot tell"
    report = verify("digits", store=replaced, trust=TRUST, expect_head=head)
    assert f"before the expected {head}" in problems(report)
    with pytest.raises(CorruptData, match="this is an old copy of the store"):
        verify("digits@30", store=replaced, trust=TRUST, expect_head=head)
