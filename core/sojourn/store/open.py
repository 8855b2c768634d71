"""From an address to a store: a directory, file://, s3://, gs://, az:// or memory://."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from sojourn.errors import InvalidInput
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

_memory: dict[str, MemoryStore] = {}


def open_store(address: str | Path, options: Mapping[str, str] | None = None) -> Store:
    """The store at `address`; nothing is made or asked for before its first use.

    Args:
        address: a directory, or a URI. All who open memory://<name> in one process share that store.
        options: for object stores: endpoint, region, credentials and so on, by obstore's names; what is not given
            comes from the environment.

    Raises:
        InvalidInput: no store has such an address.
    """
    text = str(address)
    scheme, found, rest = text.partition("://")
    if not text:
        raise InvalidInput("the address of a store is empty", hint="Give a directory, or s3://bucket/prefix.")
    if not found:
        return PosixStore(Path(text).expanduser())
    if scheme == "file":
        if not rest.startswith("/"):
            raise InvalidInput(f"{text!r} names a host", hint="Write file:///absolute/path, with three slashes.")
        return PosixStore(unquote(rest))
    if scheme == "memory":
        return _memory.setdefault(rest, MemoryStore(rest))
    if scheme in ("s3", "gs", "az"):
        # obstore takes 50 ms to import, which commands on directories need not pay.
        from sojourn.store.objectstore import open_object_store

        return open_object_store(text, options)
    raise InvalidInput(
        f"{text!r} is not the address of a store",
        hint="Stores are directories, file://, s3://, gs:// and az://.",
    )
