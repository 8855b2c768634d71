"""The store of a pod, from the environment that the operator gives it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sojourn.errors import InvalidInput
from sojourn.store.base import Store
from sojourn.store.open import open_store

_PREFIX = "SOJOURN_"
_VENDORS = ("AWS_", "GOOGLE_", "AZURE_")
STORE = "SOJOURN_STORE"
REGION = "SOJOURN_STORE_REGION"
ENDPOINT = "SOJOURN_STORE_ENDPOINT"
_ENDPOINT_OPTIONS = {"s3": "endpoint", "gs": "base_url", "az": "endpoint"}


def store_from_environment(environment: Mapping[str, str] = os.environ, prefix: str = _PREFIX) -> Store:
    """The store that SOJOURN_STORE names, with SOJOURN_STORE_REGION and SOJOURN_STORE_ENDPOINT for object stores.

    Credentials are found as obstore finds them: AWS_*, GOOGLE_*, AZURE_*, workload identities.

    Args:
        prefix: stands before the three names instead, where a process has a second store, and before the names of
            its credentials (SOJOURN_RELAY_AWS_ACCESS_KEY_ID).

    Raises:
        InvalidInput: the variable is not set, or no store has such an address.
    """
    names = {name: prefix + name.removeprefix(_PREFIX) for name in (STORE, REGION, ENDPOINT)}
    address = environment.get(names[STORE], "")
    if not address:
        raise InvalidInput(f"{names[STORE]} is not set", hint="It names the store: a directory, s3://, gs:// or az://.")
    options = _credentials(environment, prefix) if prefix != _PREFIX else {}
    scheme = address.partition("://")[0]
    if scheme == "s3" and environment.get(names[REGION]):
        options["region"] = environment[names[REGION]]
    if scheme in _ENDPOINT_OPTIONS and environment.get(names[ENDPOINT]):
        options[_ENDPOINT_OPTIONS[scheme]] = environment[names[ENDPOINT]]
    return open_store(address, options)


def _credentials(environment: Mapping[str, str], prefix: str) -> dict[str, str]:
    own = {name.removeprefix(prefix): value for name, value in environment.items() if name.startswith(prefix)}
    return {name.lower(): value for name, value in own.items() if name.startswith(_VENDORS)}
