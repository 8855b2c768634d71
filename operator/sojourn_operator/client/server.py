"""A ModelServer to look at, wait for and roll back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sojourn.errors import Refused
from sojourn_operator.client.errors import JobFailed
from sojourn_operator.client.namespace import Namespace
from sojourn_operator.resources import MODEL_SERVERS
from sojourn_operator.runtime.conditions import get_condition, reason_of
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True)
class Server:
    """A ModelServer of the client's namespace."""

    client: Namespace
    name: str

    @property
    def object(self) -> Object:
        """The ModelServer as it is now. Raises NotFound."""
        return self.client.need(MODEL_SERVERS, self.name)

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status; {} while the operator has not seen it."""
        found: Mapping[str, Any] = self.object.get("status", {})
        return found

    def rollback(self, to_version: int | None = None) -> int:
        """Serve an earlier version from now on; the version. Without one, the newest that served before this one.

        Raises:
            Refused: there is no earlier version.
        """
        status = self.status
        active = status.get("activeVersion")
        if to_version is None:
            served = [entry["version"] for entry in status.get("versions", ()) if entry.get("state") == "Standby"]
            earlier = [version for version in served if version != active]
            if not earlier:
                raise Refused(
                    f"ModelServer {self.name} has served no version but {active}", hint="Name one with --to-version."
                )
            to_version = int(earlier[0])
        self._patch({"rollback": {"toVersion": to_version}})
        return to_version

    def follow_model(self) -> None:
        """Take a rollback back: serve what spec.model says."""
        self._patch({"rollback": None})

    def wait(self, timeout: float | None = 600.0) -> Mapping[str, Any]:
        """Wait until what the spec asks for serves; the status then.

        Raises:
            JobFailed: the version failed and was rolled back.
            TimedOut: it goes on after `timeout` seconds.
        """
        found: Object = {}
        for _ in self.client.looks(timeout, f"the rollout of ModelServer {self.name}"):
            found = self.object
            if found.get("status", {}).get("observedGeneration") != found["metadata"]["generation"]:
                continue
            if reason_of(found, "Progressing") == "UpToDate":
                break
            if reason_of(found, "RolledBack") == "VersionFailed":
                said = get_condition(found, "RolledBack") or {}
                raise JobFailed(f"ModelServer {self.name} rolled back: {said.get('message', '')}")
        status: Mapping[str, Any] = found["status"]
        return status

    def _patch(self, spec: Mapping[str, Any]) -> None:
        self.client.port.patch(MODEL_SERVERS, self.client.namespace, self.name, {"spec": spec})
