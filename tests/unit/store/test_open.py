from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sojourn.errors import InvalidInput
from sojourn.store.memory import MemoryStore
from sojourn.store.objectstore import ObjectStore
from sojourn.store.open import open_store
from sojourn.store.posix import PosixStore


def test_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for address in (tmp_path / "a b", str(tmp_path / "a b"), "a b", "~/a b", (tmp_path / "a b").as_uri()):
        store = open_store(address)
        assert isinstance(store, PosixStore)
        assert store.root == tmp_path / "a b"
        assert open_store(store.uri).uri == store.uri
    assert not (tmp_path / "a b").exists()


def test_memory_is_shared_by_name() -> None:
    one = open_store("memory://shared-by-name")
    assert isinstance(one, MemoryStore)
    assert open_store("memory://shared-by-name") is one
    assert open_store("memory://another") is not one


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("s3://bucket/team/runs", {"region": "eu-west-1", "access_key_id": "k", "secret_access_key": "s"}),
        ("s3://bucket", {"region": "eu-west-1", "skip_signature": "true", "endpoint": "http://127.0.0.1:1"}),
        ("gs://bucket/runs", {"skip_signature": "true"}),
        ("az://container/runs", {"account_name": "name", "account_key": "a2V5"}),
    ],
)
def test_object_stores(address: str, options: dict[str, str]) -> None:
    store = open_store(f"{address}/", options)
    assert isinstance(store, ObjectStore)
    assert store.uri == address


@pytest.mark.parametrize(
    ("address", "options", "message"),
    [
        ("", {}, "is empty"),
        ("ftp://host/runs", {}, "is not the address of a store"),
        ("file://host/runs", {}, "names a host"),
        ("s3://", {}, "names no bucket"),
        ("s3:///runs", {}, "names no bucket"),
        ("s3://bucket/../runs", {}, "not a plain relative path"),
        ("s3://bucket", {"colour": "red"}, "cannot open s3://bucket"),
    ],
)
def test_what_is_no_store(address: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        open_store(address, options)


def test_directories_need_no_object_store_library() -> None:
    program = "import sys, sojourn.store.open, sojourn.runlog.runs; sys.exit('obstore' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
