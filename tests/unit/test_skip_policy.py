"""The policy that a skip nobody wrote down fails the run, tried on real pytest runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.skip_policy import Skip, read_list, unexpected

SUITE = """
import pytest

@pytest.mark.parametrize("store", ["s3"])
def test_store(store):
    pytest.skip("no server for s3")

@pytest.mark.xfail(reason="known")
def test_expected_failure():
    raise AssertionError

def test_fine():
    pass
"""


def run_suite(folder: Path, repository: Path, allowed: str, ci: str) -> subprocess.CompletedProcess[str]:
    helpers = folder / "helpers"
    helpers.mkdir()
    (helpers / "__init__.py").touch()
    (helpers / "skip_policy.py").write_text((repository / "tests/helpers/skip_policy.py").read_text())
    (folder / "allowed-skips.txt").write_text(allowed)
    (folder / "test_suite.py").write_text(SUITE)
    neighbour = folder / "neighbour"
    neighbour.mkdir()
    (neighbour / "conftest.py").touch()
    (neighbour / "test_other.py").write_text("def test_other():\n    pass\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "helpers.skip_policy", "-p", "no:cacheprovider", "."],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_in_ci_a_skip_that_is_not_listed_fails_the_run(tmp_path: Path, repository: Path) -> None:
    done = run_suite(tmp_path, repository, "# none\n", ci="true")
    assert done.returncode == 1, done.stdout
    assert "test_suite.py::test_store[s3] | no server for s3" in done.stdout


def test_in_ci_a_listed_skip_passes(tmp_path: Path, repository: Path) -> None:
    done = run_suite(tmp_path, repository, "test_suite.py::test_store[s3] | no server for *\n", ci="true")
    assert done.returncode == 0, done.stdout


def test_elsewhere_skips_pass(tmp_path: Path, repository: Path) -> None:
    assert run_suite(tmp_path, repository, "", ci="").returncode == 0


def test_a_line_allows_its_reason_only() -> None:
    allowed = read_list("tests/a.py::test_x* | no Go here\n")
    assert unexpected([Skip("tests/a.py::test_x[1]", "no Go here")], allowed) == []
    other = Skip("tests/a.py::test_x[1]", "no root here")
    assert unexpected([other], allowed) == [other]


def test_a_malformed_line_is_named() -> None:
    with pytest.raises(ValueError, match=r"allowed-skips.txt:2"):
        read_list("# fine\ntests/a.py::test_x\n")


def test_the_checked_in_list_is_readable_and_names_tests_that_exist(repository: Path) -> None:
    for line in read_list((repository / "tests/allowed-skips.txt").read_text()):
        path = line.test.partition("::")[0].partition("*")[0]
        assert (repository / path).exists(), line
