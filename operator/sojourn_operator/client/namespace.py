"""One cluster as seen from one of its namespaces: find objects, list them, wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sojourn.errors import NotFound
from sojourn_operator.client.errors import NotInstalled, TimedOut
from sojourn_operator.client.pods import PodStreams
from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import ClusterPort, Missing

INSTALL_HINT = "Install it: helm install sojourn charts/sojourn, or kubectl apply -k manifests/install."


@dataclass(frozen=True, slots=True)
class Namespace:
    """What handles of jobs, migrations and servers look things up with.

    Args:
        namespace: where names without one are looked for.
        poll_seconds: how often it looks while it waits.
    """

    port: ClusterPort
    pods: PodStreams
    namespace: str
    clock: Clock
    sleep: Callable[[float], None] = field(default=time.sleep)
    poll_seconds: float = 1.0

    def all(self, resource: Resource, namespace: str, labels: str = "") -> Sequence[Object]:
        """Objects of a kind, oldest first. Raises NotInstalled where the cluster does not know it."""
        try:
            found = self.port.list(resource, namespace, labels).items
        except Missing as error:
            raise NotInstalled(
                f"this cluster does not know {resource.plural}.{resource.group}", hint=INSTALL_HINT
            ) from error
        return sorted(found, key=lambda obj: (obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]))

    def need(self, resource: Resource, name: str) -> Object:
        """An object of this namespace. Raises NotFound, and says which there are."""
        found = self.port.get(resource, self.namespace if resource.namespaced else "", name)
        if found is not None:
            return found
        names = [obj["metadata"]["name"] for obj in self.all(resource, self.namespace if resource.namespaced else "")]
        where = f" in namespace {self.namespace}" if resource.namespaced else ""
        there = f"There are: {', '.join(names[-8:])}." if names else f"There is no {resource.kind} at all{where}."
        raise NotFound(f"there is no {resource.kind} {name!r}{where}", hint=there)

    def looks(self, timeout: float | None, what: str) -> Iterator[None]:
        """One item per look at what is waited for. Raises TimedOut after `timeout` seconds."""
        start = self.clock.monotonic()
        while True:
            yield
            if timeout is not None and self.clock.monotonic() - start >= timeout:
                raise TimedOut(f"{what} takes longer than {timeout:g} s", hint="It goes on; look again later.")
            self.sleep(self.poll_seconds)
