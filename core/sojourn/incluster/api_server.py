"""Where the API server is, and what proves who we are: files that the kubelet mounts and rotates."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sojourn.errors import InvalidInput
from sojourn.incluster.errors import ApiError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ApiServer:
    """An API server.

    Attributes:
        host: its name or address.
        port: its TCP port.
        token: file with the bearer token. It is read for every request, because the kubelet replaces it.
        certificates: file with the certificate authorities to trust (PEM); None means plain HTTP.
    """

    host: str
    port: int
    token: Path
    certificates: Path | None

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that opens at its first request. `timeout` in seconds is for each read and write."""
        if self.certificates is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            context = ssl.create_default_context(cafile=str(self.certificates))
        except OSError as error:
            raise ApiError(f"the certificates in {self.certificates} cannot be read: {error}") from error
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)

    def authorization(self) -> str:
        """Value of the Authorization header, as of now. Raises ApiError if the token cannot be read."""
        try:
            return f"Bearer {self.token.read_text().strip()}"
        except OSError as error:
            raise ApiError(
                f"the service account's token in {self.token} cannot be read: {error}",
                hint="The pod needs automountServiceAccountToken, or a projected token at that path.",
            ) from error


def in_cluster(environment: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> ApiServer:
    """The API server of the cluster that this pod runs in. Raises InvalidInput outside of pods."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port.isdecimal():
        raise InvalidInput(
            "this process runs in no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set",
            hint="The operator makes the pods that run this command.",
        )
    return ApiServer(host, int(port), folder / "token", folder / "ca.crt")
