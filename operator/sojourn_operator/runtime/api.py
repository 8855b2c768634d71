"""A ClusterPort on a real API server: plain JSON over HTTPS, time limits everywhere, retries nowhere."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from sojourn_operator.runtime.answers import error_of
from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.connection import Connection
from sojourn_operator.runtime.limiter import RateLimiter
from sojourn_operator.runtime.objects import Object, Resource, Resources
from sojourn_operator.runtime.port import (
    AlreadyExists,
    Change,
    ClusterError,
    Conflict,
    Missing,
    Page,
    Propagation,
    Throttled,
    Unavailable,
)

FIELD_MANAGER = "sojourn-operator"
CONNECT_SECONDS = 5.0
PAGE = 500

Observer = Callable[[str, str, int, float], None]
"""Told of every request: verb, plural of the resource, HTTP status (0: no answer) and seconds."""

# A peer that vanished without a word is noticed after 30 seconds, idle or not.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one API server is asked at most, and how long it may take. A watch that should have ended is dead."""

    qps: float = 100.0
    burst: int = 200
    request_seconds: float = 30.0
    watch_seconds: float = 60.0
    connections: int = 16

    @property
    def silence_seconds(self) -> float:
        """After so long without a byte a watch is taken for dead: the server should have ended it."""
        return self.watch_seconds + min(15.0, self.watch_seconds)


def _ignore(verb: str, plural: str, code: int, seconds: float) -> None:
    pass


class ApiServer:
    """One cluster's API server. Threads may share it.

    Args:
        name: "" for the operator's own cluster, else the RemoteCluster's name.
        resources: the kinds that may be written.
        field_manager: who the API server notes down as the owner of what is written.
    """

    def __init__(
        self,
        connection: Connection,
        resources: Iterable[Resource],
        clock: Clock,
        *,
        name: str = "",
        limits: Limits | None = None,
        observe: Observer = _ignore,
        field_manager: str = FIELD_MANAGER,
    ) -> None:
        self.name = name
        self._resources = Resources(resources)
        self._connection = connection
        self._limits = limits or Limits()
        self._observe = observe
        # The API server then refuses fields that its schema does not know, instead of dropping them silently.
        self._write = {"fieldManager": field_manager, "fieldValidation": "Strict"}
        self._limiter = RateLimiter(self._limits.qps, self._limits.burst, clock, time.sleep)
        self._prefix = urlsplit(connection.server).path.rstrip("/")
        self._pool = _pool(connection, self._limits.connections)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        try:
            return self._call("get", "GET", resource, _path(resource, namespace, name))
        except Missing:
            return None

    def list(self, resource: Resource, namespace: str = "", labels: str = "") -> Page:
        items: list[Object] = []
        query = {"limit": str(PAGE), **({"labelSelector": labels} if labels else {})}
        while True:
            page = self._call("list", "GET", resource, _path(resource, namespace), query=query)
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            items += [{**kind, **item} for item in page.get("items") or ()]
            if not (token := page["metadata"].get("continue")):
                return Page(items, page["metadata"]["resourceVersion"])
            query = {**query, "continue": token}

    def watch(
        self, resource: Resource, resource_version: str, namespace: str = "", labels: str = ""
    ) -> Iterator[Change]:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(self._limits.watch_seconds))),
            **({"labelSelector": labels} if labels else {}),
        }
        what = self._what("watch", resource, _path(resource, namespace))
        with self._asked("watch", "GET", resource, _path(resource, namespace), query=query) as response:
            try:
                for line in response:
                    yield _change(what, json.loads(line))
            except (HTTPError, OSError, ValueError) as error:
                raise Unavailable(f"{what}: broke off: {error}") from error

    def create(self, obj: Object) -> Object:
        resource = self._resources.of(obj)
        path = _path(resource, obj["metadata"].get("namespace", ""))
        return self._call("create", "POST", resource, path, body=obj, query=self._write)

    def name_is_free(self, obj: Object) -> bool:
        resource = self._resources.of(obj)
        path = _path(resource, obj["metadata"].get("namespace", ""))
        try:
            self._call("create", "POST", resource, path, body=obj, query={**self._write, "dryRun": "All"})
        except AlreadyExists:
            return False
        return True

    def apply(self, obj: Object) -> Object:
        resource = self._resources.of(obj)
        path = _path(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        query = {**self._write, "force": "true"}
        return self._call(
            "apply", "PATCH", resource, path, body=obj, query=query, content="application/apply-patch+yaml"
        )

    def patch(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        return self._merge("patch", resource, _path(resource, namespace, name), patch)

    def patch_status(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        return self._merge("patch_status", resource, _path(resource, namespace, name) + "/status", patch)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            **({"preconditions": {"uid": uid}} if uid else {}),
        }
        try:
            self._call("delete", "DELETE", resource, _path(resource, namespace, name), body=options)
        except Missing:
            return
        except Conflict as error:
            if not (uid and "UID in the precondition" in error.message):
                raise

    def version(self) -> str:
        info = self._call("version", "GET", None, "/version")
        return str(info["gitVersion"])

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def _merge(self, verb: str, resource: Resource, path: str, patch: Mapping[str, Any]) -> Object:
        return self._call(
            verb, "PATCH", resource, path, body=patch, query=self._write, content="application/merge-patch+json"
        )

    def _call(
        self,
        verb: str,
        method: str,
        resource: Resource | None,
        path: str,
        **request: Any,
    ) -> dict[str, Any]:
        what = self._what(verb, resource, path)
        with self._asked(verb, method, resource, path, **request) as response:
            try:
                answer: dict[str, Any] = json.loads(response.read())
            except (HTTPError, OSError, ValueError) as error:
                raise Unavailable(f"{what}: the answer broke off: {error}") from error
        return answer

    @contextmanager
    def _asked(
        self,
        verb: str,
        method: str,
        resource: Resource | None,
        path: str,
        *,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The response to a request that was granted. What of it is not read closes its connection."""
        what = self._what(verb, resource, path)
        read_seconds = self._limits.silence_seconds if verb == "watch" else self._limits.request_seconds
        self._limiter.wait()
        started = time.monotonic()
        code = 0
        try:
            response = self._pool.urlopen(
                method,
                self._prefix + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body).encode(),
                headers={"Accept": "application/json", "Content-Type": content, **self._connection.headers()},
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            code = response.status
        except (HTTPError, OSError) as error:
            raise Unavailable(f"{what}: {error}") from error
        finally:
            self._observe(verb, resource.plural if resource else path, code, time.monotonic() - started)
        try:
            if code >= 300:
                raise self._refusal(what, response)
            yield response
        finally:
            if not response.closed:
                response.close()
            response.release_conn()

    def _refusal(self, what: str, response: urllib3.BaseHTTPResponse) -> ClusterError:
        try:
            body = response.read()
        except (HTTPError, OSError):
            body = b""
        error = error_of(what, response.status, body, response.headers)
        if isinstance(error, Throttled):
            self._limiter.hold(error.retry_after)
        return error

    def _what(self, verb: str, resource: Resource | None, path: str) -> str:
        return f"{verb} {path}" + (f" of cluster {self.name}" if self.name else "")


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    scope = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{root}{scope}/{resource.plural}" + (f"/{name}" if name else "")


def _change(what: str, event: Mapping[str, Any]) -> Change:
    if event["type"] == "ERROR":
        status = event["object"]
        raise error_of(what, int(status.get("code", 500)), json.dumps(status).encode(), {})
    return Change(event["type"], event["object"])


def _pool(connection: Connection, size: int) -> urllib3.HTTPConnectionPool:
    options: dict[str, Any] = {
        "maxsize": size,
        "block": False,
        "socket_options": [*HTTPConnection.default_socket_options, *_KEEP_ALIVE],
    }
    if connection.tls is not None:
        options["ssl_context"] = connection.tls
        if connection.server_name:
            options |= {"server_hostname": connection.server_name, "assert_hostname": connection.server_name}
    if connection.proxy:
        return urllib3.ProxyManager(connection.proxy, **options).connection_from_url(connection.server)
    return urllib3.PoolManager(**options).connection_from_url(connection.server)
