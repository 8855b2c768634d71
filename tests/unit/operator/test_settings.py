"""Settings come from flags and the environment, and the page that lists them is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from sojourn.errors import InvalidInput
from sojourn_operator.settings import Settings, load_settings
from sojourn_operator.settings_page import page


def test_nothing_given_means_the_defaults() -> None:
    assert load_settings([], {"HOME": "/nowhere"}) == Settings()


def test_a_flag_beats_a_variable() -> None:
    environment = {"SOJOURN_OPERATOR_WORKERS": "8", "SOJOURN_OPERATOR_NAMESPACE": "team"}
    settings = load_settings(["--workers", "2", "--qps=12.5", "--leader-elect", "false"], environment)
    assert (settings.workers, settings.namespace, settings.qps, settings.leader_elect) == (2, "team", 12.5, False)


def test_a_bare_flag_is_a_yes() -> None:
    assert load_settings(["--leader-elect"], {"SOJOURN_OPERATOR_LEADER_ELECT": "no"}).leader_elect


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SOJOURN_OPERATOR_WORKER": "8"}, "unknown setting SOJOURN_OPERATOR_WORKER"),
        ({"SOJOURN_OPERATOR_WORKERS": "many"}, "SOJOURN_OPERATOR_WORKERS='many' is not a whole number"),
        ({"SOJOURN_OPERATOR_LEADER_ELECT": "perhaps"}, "is not a truth value"),
    ],
)
def test_what_makes_no_sense_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_settings([], environment)


def test_the_page_lists_them_all(repository: Path) -> None:
    assert (repository / "docs/reference/operator-settings.md").read_text() == page()
