"""Which stored tensors give each of this worker's variables its value, and how: pure, and no more than it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sojourn_trainer.state.layout import replica_name
from sojourn_trainer.state.variables import Merge


@dataclass(frozen=True, slots=True)
class Replicas:
    """This worker's replicas: `local` from number `first` on, of `total` in this attempt and `saved` in the other."""

    first: int
    local: int
    total: int
    saved: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where one component's value comes from.

    Attributes:
        component: number of the local replica; None for all of them alike.
        names: stored tensors; none for a value of zeros.
        merge: how several are put together.
    """

    component: int | None
    names: tuple[str, ...]
    merge: Merge | None = None


def sources(name: str, merge: Merge | None, replicas: Replicas, stored: Callable[[str], bool]) -> list[Source]:
    """The sources of a variable that the checkpoint has under `name`.

    Args:
        merge: None for a variable that is equal on all replicas.
        stored: whether the checkpoint has a tensor of that name.
    """
    if merge is None:
        return [Source(None, (name,))]
    copies = tuple(copy for copy in (replica_name(name, number) for number in range(replicas.saved)) if stored(copy))
    if len(copies) == replicas.total:
        return [Source(local, (copies[replicas.first + local],)) for local in range(replicas.local)]
    if merge is Merge.SUM:
        return [Source(local, copies if replicas.first + local == 0 else (), merge) for local in range(replicas.local)]
    if merge is Merge.MEAN and len(copies) > 1:
        return [Source(None, copies, merge)]
    return [Source(None, copies[:1])]
