"""What every test may use. Markers (tensorflow, ray, slow) are described in pyproject.toml."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says what else the machine does. The rest is of the profile that is set: CI has its own.
settings.register_profile("any-machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

pytest_plugins = ["helpers.skip_policy"]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root folder of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture
def short_tmp_path() -> Iterator[Path]:
    """A fresh folder whose path is short enough for Unix sockets (107 bytes), as Ray's need it."""
    folder = Path(tempfile.mkdtemp(prefix="sj-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
