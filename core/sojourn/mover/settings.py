"""What a mover takes from its environment and its object's spec; no other module of it reads there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn.incluster import ObjectRef
from sojourn.store.base import Store
from sojourn.store.environment import STORE, store_from_environment
from sojourn.transfer.link import Peer
from sojourn.transfer.outgoing import Selection
from sojourn.transfer.throttle import Throttle

PORT = 8443
RELAY_PREFIX = "SOJOURN_RELAY_"


@dataclass(frozen=True, slots=True)
class Settings:
    """`address` is the store's address for people; `relay` the store between, where there is one."""

    object: ObjectRef
    pod: str
    store: Store
    address: str
    relay: Store | None
    port: int
    host: str

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Settings:
        """Raises InvalidInput, saying which variable is missing."""
        store = store_from_environment(environment)
        relay = environment.get(RELAY_PREFIX + STORE.removeprefix("SOJOURN_"))
        return cls(
            object=ObjectRef(
                "checkpointtransfers",
                environment.get("SOJOURN_TRANSFER_NAME", ""),
                environment.get("SOJOURN_TRANSFER_NAMESPACE", ""),
            ),
            pod=environment.get("POD_NAME", ""),
            store=store,
            address=environment.get("SOJOURN_STORE_URI") or store.uri,
            relay=store_from_environment(environment, RELAY_PREFIX) if relay else None,
            port=int(environment.get("SOJOURN_MOVER_PORT") or PORT),
            host=environment.get("SOJOURN_MOVER_HOST", ""),
        )


def selection(spec: Mapping[str, Any]) -> Selection:
    """What of the source's run is to be brought."""
    source = spec.get("source", {})
    checkpoint = str(source.get("checkpoint", "latest"))
    return Selection(
        what=spec.get("what", "Run"),
        moves=moves(spec),
        selector=int(checkpoint) if checkpoint.isdecimal() else checkpoint,
        export=int(source.get("export", 0)),
    )


def moves(spec: Mapping[str, Any]) -> bool:
    """Whether the run itself goes away."""
    return bool(spec.get("mode", "Copy") == "Move")


def peer(spec: Mapping[str, Any]) -> Peer | None:
    """The other mover, as far as it is known."""
    known = spec.get("peer", {})
    if not known.get("certificate"):
        return None
    return Peer(known["certificate"], known.get("address", ""), int(known.get("port", 0)))


def throttle(spec: Mapping[str, Any]) -> Throttle:
    """The limit on bytes per second."""
    from sojourn.api.meta import parse_quantity

    return Throttle(float(parse_quantity(str(spec["bandwidthLimit"]))) if spec.get("bandwidthLimit") else 0)
