"""Get, watch and merge-patch the status of one object: all that a pod of ours is allowed to do."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from sojourn.incluster.api_server import ApiServer
from sojourn.incluster.errors import ApiError, ApiUnavailable, Conflict, ObjectGone, VersionExpired

# A half-open connection tells nothing, so the server ends a watch before the read times out.
_WATCH_SECONDS = 60
_BUSY = frozenset({408, 429, 500, 502, 503, 504})

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object of a custom resource; `namespace` is "" for cluster-scoped kinds."""

    plural: str
    name: str
    namespace: str = ""
    group: str = "sojourn.dev"
    version: str = "v1alpha1"

    @property
    def collection(self) -> str:
        """Path of the objects of that kind."""
        space = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        return f"/apis/{self.group}/{self.version}{space}/{self.plural}"

    @property
    def path(self) -> str:
        """Path of the object."""
        return f"{self.collection}/{quote(self.name, safe='')}"

    def __str__(self) -> str:
        return f"{self.plural}.{self.group} {self.namespace}/{self.name}".replace(" /", " ")


class ObjectClient:
    """Every request has a connection of its own, so threads may share a client.

    Args:
        timeout: seconds for each read and write.
        watch_seconds: how long one watch lasts, whole seconds.
    """

    def __init__(
        self, server: ApiServer, ref: ObjectRef, *, timeout: float = 15.0, watch_seconds: int = _WATCH_SECONDS
    ) -> None:
        self._server = server
        self._timeout = timeout
        self._watch_seconds = watch_seconds
        self.ref = ref

    def get(self) -> Object:
        """The object. Raises ObjectGone, ApiUnavailable, or ApiError for everything else."""
        return self._request("GET", self.ref.path)

    def patch_status(self, status: Mapping[str, Any], resource_version: str | None = None) -> Object:
        """Merge these fields into `.status`; null removes one. Returns the object, raises as `get` does.

        Args:
            status: fields by their JSON names; objects are merged, lists replaced.
            resource_version: raise Conflict unless the object still has this one.
        """
        patch: Object = {"status": status}
        if resource_version is not None:
            patch["metadata"] = {"resourceVersion": resource_version}
        body = json.dumps(patch, allow_nan=False).encode()
        return self._request("PATCH", f"{self.ref.path}/status", body)

    def watch(self, resource_version: str) -> Iterator[Object]:
        """The object after each change since `resource_version`, until the watch's time is over.

        Raises:
            VersionExpired: `resource_version` is too old.
            ObjectGone: the object was deleted.
        """
        query = {
            "watch": "1",
            "fieldSelector": f"metadata.name={self.ref.name}",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self._watch_seconds),
        }
        patience = self._watch_seconds + self._timeout
        with self._exchange("GET", f"{self.ref.collection}?{urlencode(query)}", None, patience) as answer:
            for line in answer:
                yield self._changed(json.loads(line))

    def _changed(self, event: Mapping[str, Any]) -> Object:
        found: Object = event["object"]
        if event["type"] == "ERROR":
            raise self._refused(int(found.get("code", 0)), found)
        if event["type"] == "DELETED":
            raise ObjectGone(f"{self.ref} was deleted", status=404)
        return found

    def _request(self, method: str, path: str, body: bytes | None = None) -> Object:
        with self._exchange(method, path, body, self._timeout) as answer:
            found: Object = json.loads(answer.read())
            return found

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, body: bytes | None, timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request, if it is a success; errors while it is read are reported alike."""
        headers = {"Accept": "application/json", "Authorization": self._server.authorization()}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        with contextlib.closing(self._server.connect(timeout)) as connection:
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                if answer.status >= 300:
                    raise self._refused(answer.status, _document(answer.read()))
                yield answer
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise ApiUnavailable(
                    f"the API server at {self._server.host}:{self._server.port} does not answer: "
                    f"{error or type(error).__name__}",
                    hint="If this lasts, look at the cluster's control plane and its network policies.",
                ) from error

    def _refused(self, status: int, said: Mapping[str, Any]) -> ApiError:
        message = f"the API server refuses a request for {self.ref}: {said.get('message') or f'HTTP status {status}'}"
        if status == 404:
            return ObjectGone(message, hint="Was it deleted, or is the custom resource not installed?", status=status)
        if status == 409:
            return Conflict(message, status=status)
        if status == 410:
            return VersionExpired(message, status=status)
        if status in _BUSY:
            return ApiUnavailable(message, status=status)
        rights = "The pod's service account needs get, watch and patch of its status on this object."
        return ApiError(message, hint=rights if status in (401, 403) else "", status=status)


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"message": body[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {}
