"""Logs of pods and connections into them, which are streams and so no part of ClusterPort."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Protocol

from sojourn.errors import SojournError
from sojourn_operator.runtime.port import Missing, Unavailable


class PodStreams(Protocol):
    """What a kubelet offers for a pod."""

    def log(self, namespace: str, pod: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        """Pieces of what its containers wrote, to the end, or with `follow` as it comes.

        Raises:
            Missing: the pod, or its log, is not there (yet).
        """
        ...

    def forward(self, namespace: str, pod: str, port: int) -> socket.socket:
        """A connection to a port of a pod.

        Raises:
            Unavailable: it cannot be made.
        """
        ...


class KubernetesPods:
    """The official client's streams, with the login of a kubeconfig."""

    def __init__(self, kubeconfig: str = "", context: str = "") -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._api: Any = None

    def log(self, namespace: str, pod: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        limit = {} if tail is None else {"tail_lines": tail}
        try:
            response = self._core().read_namespaced_pod_log(
                pod, namespace, follow=follow, _preload_content=False, **limit
            )
            yield from response.stream()
        except ApiException as error:
            raise _refused(f"the log of pod {namespace}/{pod}", error) from error
        except HTTPError as error:
            raise Unavailable(f"the log of pod {namespace}/{pod} broke off: {error}") from error

    def forward(self, namespace: str, pod: str, port: int) -> socket.socket:
        from kubernetes.client import ApiException
        from kubernetes.stream import portforward

        try:
            forwarded = portforward(
                self._core().connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
            )
        except ApiException as error:
            raise _refused(f"port {port} of pod {namespace}/{pod}", error) from error
        connection: socket.socket = forwarded.socket(port)
        return connection

    def _core(self) -> Any:
        if self._api is None:
            from kubernetes.client import CoreV1Api
            from kubernetes.config import new_client_from_config

            client = new_client_from_config(self._kubeconfig or None, self._context or None, persist_config=False)
            self._api = CoreV1Api(client)
        return self._api


def _refused(what: str, error: Any) -> SojournError:
    if error.status in (400, 404):
        return Missing(f"{what} is not there: {error.reason}")
    return Unavailable(f"{what} cannot be had: {error.status} {error.reason}")
