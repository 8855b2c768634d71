"""docs/guides/operations.md has every word that the operator may say in conditions and events, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sojourn.errors import Refused
from sojourn.mover import job as mover
from sojourn.runlog import errors as runlog_errors

ROOT: Final = Path(__file__).parents[3]
OPERATOR: Final = ROOT / "operator" / "sojourn_operator"
PAGE: Final = ROOT / "docs" / "guides" / "operations.md"
WORD: Final = re.compile(r"[A-Z][a-z][A-Za-z0-9]+")
REFUSALS: Final = frozenset(
    name for name, kind in vars(runlog_errors).items() if isinstance(kind, type) and issubclass(kind, Refused)
) - {"Refused"}

# Where each kind's words are: folders and files of code.
CODE: Final[dict[str, tuple[Path, ...]]] = {
    "TrainingJob": (OPERATOR / "trainingjob",),
    "TrainingAttempt": (OPERATOR / "trainingattempt",),
    "CheckpointStore": (OPERATOR / "checkpointstore", ROOT / "core" / "sojourn" / "mover" / "probe.py"),
    "Checkpoint": (OPERATOR / "checkpoint",),
    "CheckpointTransfer": (OPERATOR / "checkpointtransfer",),
    "RemoteCluster": (OPERATOR / "remotecluster",),
    "Migration": (OPERATOR / "migration",),
    "ModelServer": (OPERATOR / "modelserver", ROOT / "serving" / "sojourn_serving" / "fetch.py"),
}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What a kind takes over from parts that others share.
TAKEN_OVER: Final[dict[str, frozenset[str]]] = {
    "CheckpointTransfer": frozenset({*mover._REASONS.values(), *REFUSALS, "StoreNotFound", "StoreNotReady"}),
}
# Words of the code that are neither conditions, nor their reasons, nor events: kinds, phases, fields of Kubernetes,
# what the code decides between. A new word belongs on the page, or here.
_EVERYWHERE: Final = frozenset({"True", "False", "Unknown", "Normal", "Warning"})
OTHERS: Final[dict[str, frozenset[str]]] = {
    "TrainingJob": _set(
        """
        Claims ConfigMap ConfigMaps Container Deadline Delete IfNotPresent Limits Nodes NotChecked Passed
        Pending PersistentVolumeClaim Pod Quota Schedule Secret Secrets ServiceAccount ServiceAccounts Skipped
        StaleTerm Start Succeeded Suspend Train TrainingJob Update Versions Wait
        """
    ),
    "TrainingAttempt": _set("Error Image Pending Running SchedulingGated TrainingAttempt"),
    "CheckpointStore": _set("CheckpointStore ReadWriteMany"),
    "Checkpoint": _set("Checkpoint Delete Failed GiB KiB Max MiB Min Retain TiB"),
    "CheckpointTransfer": _set(
        """
        Address CheckpointTransfer ClusterIP DisruptionTarget FailJob Ignore Ingress LoadBalancer NetworkPolicy
        NodePort Pending Receive Role RoleBinding Send Service ServiceAccount Source Target
        """
    ),
    "RemoteCluster": _set("SelfSubjectAccessReview"),
    "Migration": _set(
        """
        Available Claims ClusterIP Cold ConfigMaps Copy Export Limits Move NotChecked Pending Quota Receive Run
        Running Secrets Send ServiceAccounts Source Succeeded Suspended Suspending Target Undoing
        """
    ),
    "ModelServer": _set(
        """
        Active ContainerCreating Deployment Exists Failing FallbackToLogsOnError Gateway Ingress ModelServer
        Never PathPrefix Pod PodDisruptionBudget PodInitializing PodScheduled Prefix RollingUpdate
        ScheduleAnyway Service Standby Succeeded Switching Target
        """
    ),
}


def told(kind: str) -> set[str]:
    """The words in the code of a kind that people meet."""
    files = [file for path in CODE[kind] for file in (path.rglob("*.py") if path.is_dir() else [path])]
    found = {word for file in files for word in _words(file)}
    return (found | TAKEN_OVER.get(kind, frozenset())) - _EVERYWHERE - OTHERS.get(kind, frozenset())


def _words(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
            yield node.value


def shown(kind: str) -> set[str]:
    """The words in the first column of a kind's table."""
    section = re.split(r"^##+ ", PAGE.read_text().partition(f"\n## {kind}\n")[2], flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("kind", CODE)
def test_every_word_is_on_the_page_and_no_other(kind: str) -> None:
    assert len(shown(kind)) > 5
    assert sorted(told(kind) - shown(kind)) == []
    assert sorted(shown(kind) - told(kind)) == []


@pytest.mark.parametrize("kind", OTHERS)
def test_no_word_is_left_out_that_the_code_has_not(kind: str) -> None:
    files = [file for path in CODE[kind] for file in (path.rglob("*.py") if path.is_dir() else [path])]
    assert sorted(OTHERS[kind] - {word for file in files for word in _words(file)}) == []


def test_the_failures_are_shown_by_tests_that_exist() -> None:
    table = PAGE.read_text().partition("## What happens when something dies")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and not row.startswith("| what")]
    assert len(rows) > 12
    for row in rows:
        linked = re.findall(r"\]\(\.\./\.\./(tests/[\w/.]+)\)", row)
        assert linked, row
        assert all((ROOT / path).is_file() for path in linked), row
