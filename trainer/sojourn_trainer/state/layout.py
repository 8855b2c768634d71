"""Who saves what, and who reads what: pure planning over names and sizes.

State that is equal on all replicas is saved once, spread over the workers by size. State that differs is saved once
per replica: replica 0 under the plain name, replica r under "replica_<r>/<name>".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """A variable as the layout sees it."""

    name: str
    nbytes: int
    per_replica: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor to save: the variable's index in the state list, which local replica's copy, and its stored name."""

    index: int
    local_replica: int
    stored_name: str


def replica_name(name: str, replica: int) -> str:
    """Stored name of one replica's copy of a variable that differs between replicas."""
    return name if replica == 0 else f"replica_{replica}/{name}"


def slots_of_worker(items: Sequence[Item], rank: int, workers: int, local_replicas: int) -> list[Slot]:
    """What the worker `rank` writes; over all ranks every tensor exactly once, with balanced sizes."""
    load = [0] * workers
    owner: dict[int, int] = {}
    shared = [i for i, item in enumerate(items) if not item.per_replica]
    for index in sorted(shared, key=lambda i: (-items[i].nbytes, i)):
        chosen = load.index(min(load))
        owner[index] = chosen
        load[chosen] += items[index].nbytes
    slots: list[Slot] = []
    for index, item in enumerate(items):
        if item.per_replica:
            first = rank * local_replicas
            slots += [Slot(index, r, replica_name(item.name, first + r)) for r in range(local_replicas)]
        elif owner[index] == rank:
            slots.append(Slot(index, 0, item.name))
    return slots
