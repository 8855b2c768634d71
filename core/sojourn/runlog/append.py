"""Landing one entry under one number, whatever the store answers."""

from __future__ import annotations

from sojourn.errors import StoreError
from sojourn.runlog.entries import nonce_of
from sojourn.runlog.env import Env
from sojourn.store.base import KeyExists, KeyMissing, Store, StoreDenied

_LONGEST_WAIT = 2.0


def land(store: Store, key: str, data: bytes, env: Env) -> bool:
    """Whether `data` became the entry `key`; False if somebody else's stands there.

    Any answer but success is ambiguous: link(2) over NFS and repeated PUTs can fail after they succeeded, and a 409
    of S3 can mean that nothing landed. So the key is read: our nonce, or somebody else's, or nothing, and then the
    same bytes are asked for again under the same number (a request still under way can only land the same entry).

    Raises:
        StoreError: the store gave no answer to build on; the entry may be there or may yet appear, and whoever
            appends next finds out.
    """
    nonce = nonce_of(data)
    problem: StoreError | None = None
    for attempt in range(env.tries):
        if attempt:
            env.sleep(min(_LONGEST_WAIT, 0.05 * 2 ** (attempt - 1)))
        try:
            store.create(key, data)
            return True
        except KeyExists as error:
            problem = error
            durable = True
        except StoreError as error:
            problem = error
            # Ours may be visible and not durable yet (a failed fsync of the folder): ask once more for confirmation.
            durable = False
        found = _nonce_at(store, key)
        if found is not None and found != nonce:
            return False
        if found == nonce and durable:
            return True
    kind = StoreDenied if isinstance(problem, StoreDenied) else StoreError
    raise kind(
        f"{env.tries} tries did not show whether {store.uri}/{key} was written: {problem.message if problem else ''}",
        hint=(problem.hint if problem else "") or "Look at the store; what was committed before is unharmed.",
    ) from problem


def _nonce_at(store: Store, key: str) -> str | None:
    try:
        return nonce_of(store.read(key))
    except (KeyMissing, StoreError):
        return None
