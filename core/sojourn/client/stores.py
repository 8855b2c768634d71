"""The one place that turns what people name as a store into a store."""

from __future__ import annotations

from pathlib import Path

from sojourn.client.settings import Settings
from sojourn.errors import NotFound
from sojourn.store.base import Store

StoreLike = str | Path | Store
"""A folder, an address (file://, s3://, gs://, az://), or a store that is open already."""


def open_store(store: StoreLike | None = None, settings: Settings | None = None) -> Store:
    """Open a store that may still be empty. None means SOJOURN_STORE, else the folder sojourn-runs.

    Raises:
        InvalidInput: the address is none.
        StoreError: it cannot be reached.
    """
    if store is not None and not isinstance(store, str | Path):
        return store
    from sojourn.store.open import open_store as open_address

    return open_address((settings or Settings.load()).store if store is None else store)


def existing_store(store: StoreLike | None = None, settings: Settings | None = None) -> Store:
    """Open a store to read from. Raises NotFound where its folder does not exist, else as `open_store`."""
    found = open_store(store, settings)
    root = getattr(found, "root", None)
    if isinstance(root, Path) and not root.is_dir():
        raise NotFound(
            f"there is no store at {root}", hint="Name one with --store, or set SOJOURN_STORE; `sojourn run` makes one."
        )
    return found


def canonical(store: StoreLike | None, settings: Settings) -> str:
    """The address that a store has on every machine that sees it, such as file:///data/runs."""
    return open_store(store, settings).uri
