from __future__ import annotations

import uuid

import pytest

from helpers.logs import digest, info
from helpers.runs import Clock
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.runlog.address import Address, best, resolve
from sojourn.runlog.entries import entry_key
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Created, KeepBest, Recipient
from sojourn.runlog.runs import create_run, find_run, list_runs, run_prefix
from sojourn.store.base import Store


@pytest.fixture
def runs(store: Store, clock: Clock) -> dict[str, RunLog]:
    """Three runs named digits (one in a namespace), one named digits-2; each a minute newer than the one before."""
    made = {}
    for label, name, namespace in (
        ("old", "digits", "local"),
        ("new", "digits", "local"),
        ("cluster", "digits", "team-a"),
        ("other", "digits-2", "local"),
    ):
        clock.forward(minutes=1)
        run = Created(run_id=str(uuid.uuid5(uuid.NAMESPACE_URL, label)), name=name, namespace=namespace)
        made[label] = create_run(store, run, clock.env())
    store.put("local/digits-not-a-run/file", b"")
    store.put(f"local/digits-{uuid.UUID(int=9)}/data/1-1-x/ckpt.data", b"a transfer under way")
    return made


def test_runs_of_a_store(store: Store, runs: dict[str, RunLog]) -> None:
    assert [run.prefix for run in list_runs(store)] == [runs[key].prefix for key in ("old", "new", "cluster", "other")]
    assert [run.run_id for run in list_runs(store, "team-a")] == [runs["cluster"].state.run_id]
    summary = list_runs(store, "local", "digits")[1]
    assert (summary.name, summary.namespace, summary.state) == ("digits", "local", runs["new"].state)
    assert list_runs(store, "nowhere") == []


def test_a_name_means_the_newest_run_that_is_not_fenced(store: Store, runs: dict[str, RunLog]) -> None:
    assert find_run(store, "digits").prefix == runs["new"].prefix
    assert find_run(store, "digits", "team-a").prefix == runs["cluster"].prefix
    assert find_run(store, "digits", None).prefix == runs["cluster"].prefix
    assert find_run(store, "digits-2").prefix == runs["other"].prefix
    for key in ("new", "old"):
        runs[key].fence(
            expected_term=0, expected_commit="", recipient=Recipient(run_id="elsewhere"), migration_id=f"m-{key}"
        )
        expected = {"new": "old", "old": "new"}[key]
        assert find_run(store, "digits").prefix == runs[expected].prefix
    assert find_run(store, "digits").state.fence


def test_a_run_can_be_named_by_its_id(store: Store, runs: dict[str, RunLog]) -> None:
    old = runs["old"]
    assert find_run(store, f"digits-{old.state.run_id}").prefix == old.prefix
    with pytest.raises(NotFound, match="there is no run"):
        find_run(store, f"digits-{uuid.UUID(int=1)}")


def test_a_run_that_is_not_there(store: Store, runs: dict[str, RunLog]) -> None:
    with pytest.raises(NotFound, match=r"there is no run 'mnist' in memory://store \(namespace local\)"):
        find_run(store, "mnist")


def test_an_unreadable_run_is_listed_with_its_problem(store: Store, runs: dict[str, RunLog]) -> None:
    store.put(entry_key(runs["old"].prefix, 0), b"not JSON")
    *_, last = list_runs(store)
    assert (last.prefix, last.state) == (runs["old"].prefix, None)
    assert isinstance(last.problem, CorruptData)
    with pytest.raises(CorruptData, match="not a readable log entry"):
        find_run(store, "digits")
    assert find_run(store, "digits-2").prefix == runs["other"].prefix


@pytest.mark.parametrize("name", ["", "Digits", "a_b", "-a", "a-", "a" * 41, "a/b", "a.b"])
def test_names_that_kubernetes_would_not_take(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a run"):
        run_prefix(name, str(uuid.UUID(int=1)))
    with pytest.raises(InvalidInput):
        find_run(store, name)


def test_namespaces_and_ids_are_checked() -> None:
    with pytest.raises(InvalidInput, match="namespace"):
        run_prefix("digits", str(uuid.UUID(int=1)), "Team A")
    with pytest.raises(InvalidInput, match="run id"):
        run_prefix("digits", "12")
    assert run_prefix("a", str(uuid.UUID(int=1))) == "local/a-00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("digits", Address("digits")),
        ("digits@latest", Address("digits", "latest")),
        ("digits@best", Address("digits", "best")),
        ("digits@1200", Address("digits", 1200)),
        ("team-a/digits@7", Address("digits", 7, "team-a")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "@best", "digits@", "digits@newest", "digits@-1", "digits@1.5", "/digits", "a@b@1", "d@²"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not the address of a checkpoint") as caught:
        Address.parse(text)
    assert "digits@1200" in caught.value.hint


def _committed(store: Store, clock: Clock, keep_best: KeepBest | None, rows: list[dict[str, float]]) -> RunLog:
    run = Created(run_id=str(uuid.UUID(int=5)), name="digits", keep_best=keep_best)
    log = create_run(store, run, clock.env())
    term = log.begin_attempt("a1")
    for number, metrics in enumerate(rows, 1):
        log.commit(term=term, attempt_id="a1", commit=info(number * 100, metrics=metrics))
    return log


@pytest.mark.parametrize(
    ("keep_best", "rows", "step"),
    [
        (KeepBest(metric="acc", mode="Max"), [{"acc": 0.1}, {"acc": 0.9, "loss": 9}, {"acc": 0.5, "loss": 0}], 200),
        (KeepBest(metric="err", mode="Min"), [{"err": 0.1}, {"err": 0.1}, {"err": 0.5}], 200),
        (None, [{"val_loss": 3, "loss": 1}, {"val_loss": 2, "loss": 2}], 200),
        (None, [{"loss": 1}, {"loss": float("nan")}, {"loss": 2}], 100),
    ],
)
def test_the_best_checkpoint(
    store: Store, clock: Clock, keep_best: KeepBest | None, rows: list[dict[str, float]], step: int
) -> None:
    log = _committed(store, clock, keep_best, rows)
    assert resolve(store, "digits@best")[1].step == step
    assert best(log.state) == log.state.commit_at(step)


def test_addresses_of_checkpoints(store: Store, clock: Clock) -> None:
    log = _committed(store, clock, None, [{}, {}, {}])
    log.commit(term=1, attempt_id="a1", commit=info(200, "again", manifest=digest("again")))
    assert resolve(store, "digits@100")[1].checkpoint == "data/100-u"
    found, newest = resolve(store, Address("digits"))
    assert (found.prefix, newest.checkpoint) == (log.prefix, "data/200-again")
    assert resolve(store, "digits@200")[1].checkpoint == "data/200-again"
    with pytest.raises(NotFound, match="has no checkpoint @150") as caught:
        resolve(store, "digits@150")
    assert caught.value.hint == "It has checkpoints at steps 100, 200, 300, 200."
    with pytest.raises(NotFound) as caught:
        resolve(store, "digits@best")
    assert caught.value.hint == "No checkpoint has val_loss or loss; they have no metrics."


def test_a_run_without_checkpoints(store: Store, clock: Clock) -> None:
    _committed(store, clock, None, [])
    with pytest.raises(NotFound, match="has no checkpoint yet"):
        resolve(store, "digits@latest")
