"""takeover: what it says, asks for, refuses, and orders of a cluster."""

from __future__ import annotations

import io
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from sojourn.cli.main import cli
from sojourn.errors import InvalidInput
from sojourn_operator.client import TakeoverOrder, take_over
from sojourn_operator.resources import MIGRATIONS, TRAINING_JOBS

from .conftest import DIGEST, Sojourn, World

ORDER = ("takeover", "digits", "--from-store", "old", "--person", "ada")
WHY = ("--reason", "the cluster burnt down")


@pytest.fixture
def waiting(world: World) -> World:
    """A job that waits for a run, and the store of the cluster that is lost."""
    world.job("Suspended")
    world.client.port.patch(TRAINING_JOBS, "team", "digits", {"spec": {"suspend": True}})
    store = {"apiVersion": "sojourn.dev/v1alpha1", "kind": "CheckpointStore"}
    world.cluster.create(
        {**store, "metadata": {"name": "old", "namespace": "team"}, "spec": {"pvc": {"claimName": "a"}}}
    )
    return world


def ordered(world: World) -> list[dict[str, Any]]:
    return [dict(migration["spec"]) for migration in world.cluster.list(MIGRATIONS, "team").items]


class Terminal(io.StringIO):
    """A person who types this."""

    def isatty(self) -> bool:
        return True


def test_it_says_what_will_happen_and_orders_it(sojourn: Sojourn, waiting: World) -> None:
    run = "lost-team/digits-6f1d6c1e-52d7-4f0e-9c38-8a9f3c5d7b11"
    code, _, err = sojourn(*ORDER, *WHY, "--run", run, "--fence", DIGEST, "--yes", "--no-wait")
    assert code == 0
    assert f"Run {run} of CheckpointStore old goes on as TrainingJob digits in namespace team" in err
    assert "can commit nothing more" in err
    assert f"The hand-over {DIGEST} is overridden" in err
    assert "ada ordered it, and why: the cluster burnt down" in err
    (spec,) = ordered(waiting)
    wanted = {
        "mode": "Cold",
        "source": {"run": {"storeRef": {"name": "old"}, "name": run}},
        "target": {"storeRef": {"name": "runs"}, "name": "digits"},
        "takeover": {"reason": "the cluster burnt down", "person": "ada", "fence": DIGEST},
        "exposure": {"type": "ClusterIP"},
    }
    assert {**spec, **wanted} == spec
    assert "resume" in spec


@pytest.mark.parametrize(
    ("given", "expected", "said"),
    [
        (WHY, 4, "--yes"),
        (("--yes",), 2, "--reason"),
        ((*WHY, "--yes", "--from-store", "none"), 1, "no CheckpointStore 'none'"),
    ],
    ids=["not confirmed", "no reason", "no store"],
)
def test_without_a_person_it_is_refused(
    sojourn: Sojourn, waiting: World, given: tuple[str, ...], expected: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, out, err = sojourn(*ORDER, *given)
    assert (code, out) == (expected, "")
    assert said in err
    assert ordered(waiting) == []


@pytest.mark.parametrize(("answer", "code", "orders"), [("y", 0, 1), ("n", 130, 0)])
def test_a_person_is_asked_why_and_whether(
    sojourn: Sojourn, waiting: World, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, orders: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(f"nobody reaches east\n{answer}\n"))
    assert sojourn(*ORDER, "--no-wait")[0] == code
    assert [spec["takeover"]["reason"] for spec in ordered(waiting)] == orders * ["nobody reaches east"]


def test_whoever_is_logged_in_orders_it(sojourn: Sojourn, waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert sojourn(*ORDER[:4], *WHY, "--yes", "--no-wait")[0] == 0
    assert ordered(waiting)[0]["takeover"]["person"] == "grace"


def test_python_does_the_same_and_needs_a_reason_too(waiting: World) -> None:
    order = TakeoverOrder(run="digits", store="old", job="digits", reason="nobody reaches east", to_store="new")
    handle = take_over(waiting.client, order)
    assert handle.object["spec"]["target"] == {"storeRef": {"name": "new"}, "name": "digits"}
    with pytest.raises(InvalidInput, match="reason"):
        take_over(waiting.client, TakeoverOrder(run="digits", store="old", job="digits", reason=" "))


def test_its_jobs_and_stores_complete(sojourn: Sojourn, waiting: World) -> None:
    shell = ShellComplete(cli, {}, "sojourn", "_SOJOURN_COMPLETE")
    for before, begun, whole in ((["takeover"], "di", "digits"), (["takeover", "digits", "--from-store"], "o", "old")):
        assert [found.value for found in shell.get_completions(before, begun)] == [whole]
