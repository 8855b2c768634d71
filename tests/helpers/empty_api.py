"""An API server that holds nothing, and a Lease: enough for an operator's process to come up on it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import yaml


class EmptyApi(ThreadingHTTPServer):
    """Until `leases` and `lists` are set it answers requests for these with 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.leases, self.lists, self.over = Event(), Event(), Event()
        self.lease: dict[str, Any] | None = None

    def kubeconfig(self, path: Path) -> Path:
        """A kubeconfig for it."""
        cluster = {"server": f"http://127.0.0.1:{self.server_port}"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "c", "user": {"token": "t0ken"}}],
        }
        path.write_text(yaml.safe_dump(document))
        return path


@contextmanager
def empty_api() -> Iterator[EmptyApi]:
    """Serve on a free port."""
    server = EmptyApi()
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    server: EmptyApi

    def do_GET(self) -> None:
        if "/leases/" in self.path:
            found = self.server.lease
            return self._lease(404 if found is None else 200, found)
        if not self.server.lists.is_set():
            return self._answer(503, {})
        if "watch=" in self.path:
            self.server.over.wait(30)
        return self._answer(200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})

    def do_POST(self) -> None:
        self._write(201)

    def do_PATCH(self) -> None:
        self._write(200)

    def _write(self, code: int) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/leases" not in self.path:
            return self._answer(code, body)
        if self.server.leases.is_set():
            old = self.server.lease or {"metadata": {"resourceVersion": "0"}, "spec": {}}
            version = str(int(old["metadata"]["resourceVersion"]) + 1)
            metadata = {**old["metadata"], **body["metadata"], "resourceVersion": version}
            self.server.lease = {**old, **body, "metadata": metadata, "spec": {**old["spec"], **body["spec"]}}
        return self._lease(code, self.server.lease)

    def _lease(self, code: int, found: dict[str, Any] | None) -> None:
        ready = self.server.leases.is_set()
        self._answer(code if ready else 503, (found or {}) if ready else {})

    def _answer(self, code: int, found: dict[str, Any]) -> None:
        body = json.dumps(found).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        with contextlib.suppress(ConnectionError):  # whoever asked may be gone
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
