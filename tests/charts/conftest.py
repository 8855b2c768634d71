"""Helm for the tests of the chart; where it is not there, they skip and say so."""

from __future__ import annotations

import pytest

from helpers.helm import find_helm


@pytest.fixture(scope="session")
def helm_program() -> str:
    program = find_helm()
    if program is None:
        pytest.skip("helm is not installed: put it in PATH, or run make clusters-up, which builds it")
    return program
