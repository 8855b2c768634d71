"""How to reach an API server and as whom: the pod's service account, a kubeconfig file, or one in a Secret."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sojourn.errors import InvalidInput
from sojourn_operator.runtime.clock import Clock

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS = 60.0

Headers = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Connection:
    """An API server's address, the TLS settings for it, and the headers that say who asks, renewed as needed."""

    server: str
    tls: ssl.SSLContext | None
    headers: Headers
    server_name: str = ""
    proxy: str = ""
    namespace: str = ""


def in_cluster(environment: Mapping[str, str], clock: Clock, folder: Path = SERVICE_ACCOUNT) -> Connection:
    """The connection of a pod by its service account. Its token is rotated, so it is read again every minute.

    Raises:
        InvalidInput: this is not a pod, or its service account is not mounted.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise InvalidInput("not in a pod: KUBERNETES_SERVICE_HOST is not set", hint="name a kubeconfig: --kubeconfig")
    try:
        tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        namespace = (folder / "namespace").read_text().strip()
        headers = _TokenFile(folder / "token", clock)
        headers()
    except OSError as error:
        raise InvalidInput(f"the service account in {folder} cannot be read: {error}") from error
    return Connection(f"https://{f'[{host}]' if ':' in host else host}:{port}", tls, headers, namespace=namespace)


class _TokenFile:
    """The Authorization header from a file that somebody else renews."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._read_at = float("-inf")
        self._headers: Mapping[str, str] = {}

    def __call__(self) -> Mapping[str, str]:
        now = self._clock.monotonic()
        if now - self._read_at >= TOKEN_SECONDS:
            self._headers = {"Authorization": f"Bearer {self._path.read_text().strip()}"}
            self._read_at = now
        return self._headers


def from_kubeconfig_file(path: str = "", context: str = "") -> Connection:
    """The connection that a person's kubeconfig describes, with whatever login it uses.

    Raises:
        InvalidInput: it cannot be read, or describes nothing usable.
    """
    # A person's login may be a program or a cloud's plug-in: the official client knows them all.
    from kubernetes.client import Configuration
    from kubernetes.client.rest import should_bypass_proxies
    from kubernetes.config import ConfigException, load_kube_config
    from kubernetes.config.kube_config import list_kube_config_contexts

    configuration = Configuration()
    try:
        load_kube_config(path or None, context or None, configuration, persist_config=False)
        _, active = list_kube_config_contexts(path or None)
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise InvalidInput(f"kubeconfig {path or 'of this user'} cannot be used: {error}") from error
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)

    def headers() -> Mapping[str, str]:
        token = configuration.get_api_key_with_prefix("BearerToken")
        return {"Authorization": token} if token else {}

    return Connection(
        configuration.host.rstrip("/"),
        tls if configuration.host.startswith("https:") else None,
        headers,
        configuration.tls_server_name or "",
        "" if should_bypass_proxies(configuration.host, configuration.no_proxy or "") else configuration.proxy or "",
        active.get("context", {}).get("namespace", ""),
    )


def from_kubeconfig_text(text: str) -> Connection:
    """The connection of a kubeconfig that somebody else wrote: it may hold data, but run and read nothing here.

    Raises:
        InvalidInput: with the reason in the message: not a kubeconfig, or one that runs a program, names files,
            or trusts any server.
    """
    cluster, user, namespace = _current(text)
    server = cluster.get("server", "")
    if not isinstance(server, str) or not server.startswith("https://"):
        raise InvalidInput(f"server {server!r} is not an https:// address")
    if cluster.get("insecure-skip-tls-verify"):
        raise InvalidInput("insecure-skip-tls-verify trusts any server", hint="give certificate-authority-data")
    if cluster.get("proxy-url"):
        raise InvalidInput("proxy-url would send credentials by way of somebody else")
    _refuse_files("cluster", cluster, ("certificate-authority",))
    _refuse_files("user", user, ("client-certificate", "client-key", "tokenFile"))
    for name in ("exec", "auth-provider"):
        if name in user:
            raise InvalidInput(f"user.{name} would run a program in the operator", hint="give a token or a certificate")
    for name in ("username", "password", "as"):
        if name in user:
            raise InvalidInput(f"user.{name} is not supported", hint="give a token or a certificate")
    tls = _tls(cluster, user)
    token = str(user.get("token", "")).strip()
    if not token and "client-certificate-data" not in user:
        raise InvalidInput("the user has neither a token nor client-certificate-data")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Connection(
        server.rstrip("/"), tls, lambda: headers, str(cluster.get("tls-server-name", "")), namespace=namespace
    )


def _current(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    try:
        document = yaml.safe_load(text)
        contexts = {entry["name"]: entry["context"] for entry in document["contexts"]}
        context = contexts[document.get("current-context") or next(iter(contexts))]
        clusters = {entry["name"]: entry["cluster"] for entry in document["clusters"]}
        users = {entry["name"]: entry.get("user") or {} for entry in document["users"]}
        return dict(clusters[context["cluster"]]), dict(users[context["user"]]), str(context.get("namespace", ""))
    except (yaml.YAMLError, TypeError, KeyError, StopIteration, ValueError) as error:
        raise InvalidInput("not a kubeconfig with a current context, its cluster and its user") from error


def _refuse_files(part: str, entry: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in entry:
            raise InvalidInput(
                f"{part}.{name} names a file of the operator's pod",
                hint=f"give {name}-data" if name != "tokenFile" else "give token",
            )


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    try:
        authority = _decoded(cluster, "certificate-authority-data").decode("ascii")
        tls = ssl.create_default_context(cadata=authority or None)
        if "client-certificate-data" in user:
            _load_client_certificate(tls, _decoded(user, "client-certificate-data"), _decoded(user, "client-key-data"))
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(f"a certificate or key in it cannot be read: {error}") from error
    return tls


def _decoded(entry: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(str(entry.get(name, "")), validate=True)
    except binascii.Error as error:
        raise InvalidInput(f"{name} is not base64") from error


def _load_client_certificate(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # Python's ssl reads a client's key from a file only; it is gone before this returns.
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)
