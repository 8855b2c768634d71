"""An HTTP server that holds one object as an API server does: get, watch, merge-patch of its status, and its moods."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sojourn.incluster import ApiServer, ObjectRef

Merge = dict[str, Any]


class ObjectServer(ThreadingHTTPServer):
    """Serves `object`. `refuse` maps a request's method and path to an HTTP status to answer with instead, or 0."""

    daemon_threads = True

    def __init__(self, ref: ObjectRef, found: Merge) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ref = ref
        self.changed = threading.Condition()
        self.versions: list[Merge] = []
        self.oldest = 0  # versions before it are forgotten: a watch from there is told 410
        self.requests: list[tuple[str, str, str]] = []  # method, path, authorization
        self.patches: list[Merge] = []
        self.refuse: Callable[[str, str], int] = lambda method, path: 0
        self.silent = False  # watches send nothing and do not end, as over a half-open connection
        self.gone = False
        self.set(found)

    @property
    def object(self) -> Merge:
        return self.versions[-1]

    def set(self, found: Merge) -> None:
        """The object has changed."""
        with self.changed:
            version = len(self.versions)
            metadata = {**found.get("metadata", {}), "name": self.ref.name, "resourceVersion": str(version)}
            self.versions.append({**found, "metadata": metadata})
            self.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what tests are about."""

    def delete(self) -> None:
        with self.changed:
            self.gone = True
            self.changed.notify_all()


def merge(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ObjectServer

    def do_GET(self) -> None:
        if self._refused():
            return
        parsed = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(parsed.query).items()}
        if "watch" in query:
            self._watch(int(query["resourceVersion"]), float(query["timeoutSeconds"]))
        elif self.server.gone or parsed.path != self.server.ref.path:
            self._status(404, "not found")
        else:
            self._send(200, self.server.object)

    def do_PATCH(self) -> None:
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        if self.headers["Content-Type"] != "application/merge-patch+json" or not self.path.endswith("/status"):
            self._status(415, "unsupported patch")
            return
        seen = patch.get("metadata", {}).get("resourceVersion")
        if seen not in (None, self.server.object["metadata"]["resourceVersion"]):
            self._status(409, "the object has been modified")
            return
        self.server.patches.append(patch["status"])
        self.server.set(merge(self.server.object, patch))
        self._send(200, self.server.object)

    def _refused(self) -> bool:
        path = urlparse(self.path).path
        self.server.requests.append((self.command, path, self.headers.get("Authorization", "")))
        status = self.server.refuse(self.command, self.path)
        if status:
            self._status(status, f"told to answer {status}")
        return bool(status)

    def _watch(self, seen: int, seconds: float) -> None:
        server = self.server
        if seen < server.oldest:
            self._status(410, "too old resource version")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        deadline = time.monotonic() + seconds
        self._event("BOOKMARK", {"metadata": {"resourceVersion": str(seen)}})
        while True:
            news = self._news(seen, deadline)
            for found in news:
                self._event("MODIFIED", found)
            seen += len(news)
            if server.gone:
                self._event("DELETED", server.object)
            if server.gone or not news:
                break
        self._chunk(b"")

    def _news(self, seen: int, deadline: float) -> list[Merge]:
        """Versions after `seen`, once there are any; none when the time is over."""
        server = self.server
        with server.changed:
            server.changed.wait_for(
                lambda: (len(server.versions) > seen + 1 or server.gone) and not server.silent,
                3600 if server.silent else max(0.0, deadline - time.monotonic()),
            )
            return server.versions[seen + 1 :]

    def _event(self, kind: str, found: Merge) -> None:
        self._chunk(json.dumps({"type": kind, "object": found}).encode() + b"\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _status(self, code: int, message: str) -> None:
        self._send(code, {"kind": "Status", "code": code, "message": message})

    def _send(self, code: int, document: Merge) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        return


@contextmanager
def serve_object(
    folder: Path, ref: ObjectRef, found: Merge, *, tls: bool = False
) -> Iterator[tuple[ObjectServer, ApiServer]]:
    """A running server, and how to reach it; `folder` gets what a service account mounts."""
    token, certificates = folder / "token", folder / "ca.crt"
    token.write_text("first")
    with ObjectServer(ref, found) as server:
        if tls:
            certificates.write_bytes(_certify(folder / "key"))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates, folder / "key")
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server, ApiServer("127.0.0.1", server.server_port, token, certificates if tls else None)
        finally:
            server.shutdown()


def _certify(key_file: Path) -> bytes:
    """A certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
