from __future__ import annotations

from pathlib import Path

import pytest

from crash.preload import NotHere, build
from helpers.folders import fast_folder

__all__ = ["fast_folder"]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled preload.c."""
    try:
        return build(tmp_path_factory.mktemp("preload"))
    except NotHere as reason:
        pytest.skip(str(reason))
