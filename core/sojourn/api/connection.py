"""How the two ends of a transfer find each other; a Migration hands it on to its CheckpointTransfers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sojourn.api import patterns
from sojourn.api.base import Model, Rule
from sojourn.api.policy import StoreReference

Listener = Literal["Source", "Target"]


class Exposure(Model):
    """How the end that listens is reached from the other."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "Address"] = Field(
        default="NodePort",
        description="ClusterIP: both ends are in one cluster. NodePort, LoadBalancer: a Service of that type. Address: "
        "a given address leads to it.",
    )
    address: str | None = Field(
        default=None, pattern=patterns.HOST.regex, max_length=253, description="The given address."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="The port at the given address.")

    rules = (
        Rule(
            "type Address needs an address",
            "self.type != 'Address' || has(self.address)",
            lambda it: it.type != "Address" or it.address is not None,
            at=("address",),
            touches=("type", "address"),
        ),
    )


class Relay(Model):
    """A store that both ends see; with it they need no connection to each other."""

    store_ref: StoreReference = Field(description="The store, by its name or address in each end's namespace.")
