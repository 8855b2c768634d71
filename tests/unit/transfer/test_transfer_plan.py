"""What a hand-over brings along, and what of it is missing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from helpers.runs import Clock, add_export, commit_step, new_run, trained_run
from sojourn.checkpoint.files import FileSet
from sojourn.checkpoint.records import FileRecord
from sojourn.runlog.entries import MAX_ENTRY_BYTES, Place, encode
from sojourn.store.memory import MemoryStore
from sojourn.transfer.plan import Child, FolderCopy, Origin, choose, copy_id, created_entry, plan_files


def test_needed_is_the_newest_and_the_best() -> None:
    log = trained_run(MemoryStore(), Clock().env())
    assert [commit.step for commit in choose(log.state, "Needed").commits] == [10, 30]
    assert [commit.step for commit in choose(log.state, "All").commits] == [10, 20, 30]
    assert [export.version for export in choose(log.state, "Needed").exports] == [1]


def test_a_run_without_checkpoints_carries_nothing() -> None:
    carry = choose(new_run(MemoryStore(), Clock().env()).state, "All")
    assert (carry.commits, carry.exports, carry.keys) == ((), (), ())


def test_what_one_entry_cannot_name_stays_behind_oldest_first() -> None:
    clock = Clock()
    log = new_run(MemoryStore(), clock.env())
    log.begin_attempt("first")
    commit = commit_step(log, 1)
    metrics = {f"metric_{number}": 0.125 for number in range(100)}
    many = tuple(replace(commit, step=step, checkpoint=f"data/{step}-1-u", metrics=metrics) for step in range(100))
    state = replace(log.state, commits=(replace(commit, metrics=metrics | {"acc": 1.0}), *many))
    carry = choose(state, "All")
    assert 5 < len(carry.commits) < 60
    assert carry.commits[0].metrics["acc"] == 1.0
    assert [kept.step for kept in carry.commits[1:]] == list(range(101 - len(carry.commits), 100))
    origin = Origin("memory://a", log.prefix, state)
    created = created_entry(origin, carry, Child(clock.env().new_id(), "digits", "local"), adopt=False)
    _, data = encode(created, Place(0, "", 0), "n", clock.time)
    assert len(data) <= MAX_ENTRY_BYTES


def test_exports_give_way_last() -> None:
    log = trained_run(MemoryStore(), Clock().env())
    add_export(log, 2)
    crowded = tuple(replace(log.state.exports[0], formats=("x" * 30_000,), version=version) for version in (1, 2, 3))
    carry = choose(replace(log.state, exports=crowded), "All")
    assert [commit.step for commit in carry.commits] == [10, 30]
    assert [export.version for export in carry.exports] == [3]


def test_the_same_copy_has_the_same_id() -> None:
    log = trained_run(MemoryStore(), Clock().env())
    origin = Origin("memory://a", log.prefix, log.state)
    first = copy_id(origin, "memory://b", "digits", "local")
    assert first == copy_id(origin, "memory://b", "digits", "local")
    commit_step(log, 40)
    others = {
        copy_id(origin, "memory://c", "digits", "local"),
        copy_id(origin, "memory://b", "numbers", "local"),
        copy_id(origin, "memory://b", "digits", "team"),
        copy_id(replace(origin, state=log.state), "memory://b", "digits", "local"),
    }
    assert len(others | {first}) == 5


SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6)


@given(SIZES, SIZES)
def test_every_file_is_either_copied_or_checked(wanted: dict[str, int], there: dict[str, int]) -> None:
    files = tuple(FileRecord(name, size, "blake3:", ()) for name, size in wanted.items())
    folder = FolderCopy(FileSet("from", files, b"m"), "to")
    plan = plan_files([folder], "to", {f"to/{name}": size for name, size in there.items()})
    assert sorted(item.file.name for item in (*plan.missing, *plan.present)) == sorted(wanted)
    assert {item.file.name for item in plan.present} == {name for name in wanted if there.get(name) == wanted[name]}
    assert plan.missing_bytes + sum(item.file.size for item in plan.present) == plan.total_bytes == sum(wanted.values())
