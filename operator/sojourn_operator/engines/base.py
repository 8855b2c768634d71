"""What an engine is: the way an attempt becomes pods, and what is read off them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from sojourn_operator.engines.podview import PodView
from sojourn_operator.runtime.actions import Patch
from sojourn_operator.runtime.objects import Object, Resource

End = Literal["Complete", "Failed"]


@dataclass(frozen=True, slots=True)
class Workload:
    """A Job or RayJob as the attempt sees it.

    Args:
        suspended: somebody, such as Kueue, holds it back or has taken its pods away.
        started: when it was last allowed to make pods.
        end: how it ended, None while it goes on.
    """

    object: Object
    suspended: bool
    started: datetime | None
    end: End | None
    message: str = ""


class Engine(Protocol):
    """One way to make pods. All methods are pure."""

    @property
    def resource(self) -> Resource:
        """Kind of the workload that it makes for each attempt, named as the attempt."""
        ...

    @property
    def optional(self) -> bool:
        """Whether a cluster may do without the workload's kind."""
        ...

    @property
    def needs(self) -> str:
        """What a cluster must have, for people."""
        ...

    @property
    def replaces_ended_heads(self) -> bool:
        """Whether a head that has ended by itself is replaced, so that the workload never ends by itself."""
        ...

    @property
    def head_labels(self) -> dict[str, str]:
        """Labels that only pods of the head have."""
        ...

    def workload(self, attempt: Object) -> Object:
        """The workload; made once, as Kueue and others edit it."""
        ...

    def services(self, attempt: Object) -> Sequence[Object]:
        """Services that the attempt's pods need."""
        ...

    def observe(self, workload: Object) -> Workload:
        """What the workload says of itself."""
        ...

    def heads(self, pods: Sequence[PodView]) -> Sequence[PodView]:
        """Those pods that are or were the head."""
        ...

    def end(self, workload: Object) -> Patch | None:
        """Make the workload end and free what it holds while pods that have ended stay for their logs.

        None where the engine cannot: then it is to be deleted.
        """
        ...
