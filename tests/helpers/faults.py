"""A port that counts what is written through it, and fails where a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import Change, ClusterPort, Page, Propagation, Unavailable


class Crash(BaseException):
    """The operator's process is gone. Not an Exception, so that nobody handles it."""


@dataclass
class Faults:
    """What was written through all ports of an operator, in order, and what is to go wrong with which write."""

    writes: list[str] = field(default_factory=list)
    crash_before: int | None = None
    lose_answer_of: int | None = None


class FaultyPort:
    """Passes everything on to another port.

    Args:
        after_write: called after each write that took place; for invariants.
        faults: shared by the ports of one operator.
    """

    def __init__(
        self, port: ClusterPort, after_write: Callable[[], None] = lambda: None, faults: Faults | None = None
    ) -> None:
        self._port = port
        self._after_write = after_write
        self.faults = faults or Faults()
        self.down = False

    @property
    def writes(self) -> list[str]:
        """What was written."""
        return self.faults.writes

    @property
    def crash_before(self) -> int | None:
        """The number of the write before which the process is to die."""
        return self.faults.crash_before

    @crash_before.setter
    def crash_before(self, number: int | None) -> None:
        self.faults.crash_before = number

    @property
    def name(self) -> str:
        return self._port.name

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        self._check()
        return self._port.get(resource, namespace, name)

    def list(self, resource: Resource, namespace: str = "", labels: str = "") -> Page:
        self._check()
        return self._port.list(resource, namespace, labels)

    def watch(
        self, resource: Resource, resource_version: str, namespace: str = "", labels: str = ""
    ) -> Iterator[Change]:
        self._check()
        return self._port.watch(resource, resource_version, namespace, labels)

    def create(self, obj: Object) -> Object:
        if obj["kind"] == "SelfSubjectAccessReview":
            self._check()
            return self._port.create(obj)  # a question, though it is asked by a POST
        return self._write(f"create {_what(obj)}", lambda: self._port.create(obj))

    def name_is_free(self, obj: Object) -> bool:
        self._check()
        return self._port.name_is_free(obj)

    def apply(self, obj: Object) -> Object:
        return self._write(f"apply {_what(obj)}", lambda: self._port.apply(obj))

    def patch(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        what = f"patch {resource.kind} {namespace}/{name} ({', '.join(_paths(patch))})"
        return self._write(what, lambda: self._port.patch(resource, namespace, name, patch))

    def patch_status(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        what = f"patch status of {resource.kind} {namespace}/{name} ({', '.join(sorted(patch.get('status', {})))})"
        return self._write(what, lambda: self._port.patch_status(resource, namespace, name, patch))

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        self._write(
            f"delete {resource.kind} {namespace}/{name}",
            lambda: self._port.delete(resource, namespace, name, uid=uid, propagation=propagation),
        )

    def version(self) -> str:
        self._check()
        return self._port.version()

    def _check(self) -> None:
        if self.down:
            raise Unavailable("the test switched this API server off")

    def _write(self, what: str, do: Callable[[], Any]) -> Any:
        self._check()
        what += f" of cluster {self.name}" if self.name else ""
        number = len(self.writes)
        if self.faults.crash_before == number:
            self.faults.crash_before = None
            raise Crash(what)
        answer = do()
        self.writes.append(what)
        self._after_write()
        if self.faults.lose_answer_of == number:
            self.faults.lose_answer_of = None
            raise Unavailable(f"{what}: the answer got lost")
        return answer


def _what(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def _paths(patch: Mapping[str, Any]) -> list[str]:
    return sorted(
        f"{name}.{inner}"
        for name, part in patch.items()
        for inner in (part if isinstance(part, Mapping) else {"": None})
        if inner != "resourceVersion"
    )
