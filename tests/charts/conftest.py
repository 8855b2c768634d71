"""Helm for the tests of the chart; where it is not there and cannot be built, they skip and say so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from e2e.clusters.needs import Unavailable
from e2e.clusters.programs import build_programs
from helpers.helm import find_helm

# The first test may wait for a build.
TIMEOUT = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def helm_program() -> str:
    program = find_helm()
    if program is None and os.environ.get("CI") == "true":
        # The end-to-end tests build it anyway, along with Kubernetes; people need not wait for that.
        if not (shutil.which("go") and shutil.which("gcc")):
            pytest.skip("helm is not installed, and cannot be built: this machine lacks Go or gcc")
        try:
            program = str(build_programs()["helm"])
        except Unavailable as error:
            pytest.skip(f"helm is not installed, and cannot be built: {error}")
    if program is None:
        pytest.skip("helm is not installed: put it in PATH, or run make clusters-up, which builds it")
    return program
