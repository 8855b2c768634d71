"""A proxy before an API server that answers wrongly, falls silent or is gone when a test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Literal

import urllib3
from urllib3.exceptions import HTTPError

from sojourn_operator.runtime.connection import Connection

Matches = Callable[[str, str], bool]
"""Of a method and a path with its query."""
Fault = Literal["", "before", "after"]
Strike = Callable[[str, str, bytes | None], Fault]
"""Of a method, a path and a body: whether the caller is cut off before the request arrives, or before its answer."""


@dataclass(slots=True)
class ApiProxy:
    """What the proxy does now. Without orders it passes everything on."""

    connection: Connection
    down: bool = False
    planned: list[tuple[Matches, int, Mapping[str, str]]] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    strike: Strike | None = None
    _thawed: Event = field(default_factory=Event)

    def answer(self, code: int, matches: Matches, **headers: str) -> None:
        """Answer the next request that matches with this code, in the API server's place."""
        self.planned.append((matches, code, {name.replace("_", "-"): value for name, value in headers.items()}))

    def freeze_connections(self) -> None:
        """Connections that are open now stay open, and nothing comes through them any more."""
        self._thawed.set()
        self._thawed = Event()

    def cut(self) -> None:
        """No connection is accepted, and those that are open end."""
        self.down = True
        self.freeze_connections()

    def take(self, method: str, path: str) -> tuple[int, Mapping[str, str]] | None:
        """The answer that is planned for a request, once."""
        for number, (matches, code, headers) in enumerate(self.planned):
            if matches(method, path):
                del self.planned[number]
                self.answered.append(f"{code} {method} {path}")
                return code, headers
        return None

    @property
    def generation(self) -> Event:
        """Set when connections opened before are to fall silent."""
        return self._thawed


@contextmanager
def api_proxy(connection: Connection) -> Iterator[ApiProxy]:
    """A proxy before the server of `connection`; its own `connection` leads through it, without TLS."""
    pool = urllib3.PoolManager(ssl_context=connection.tls, maxsize=8)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    proxy = ApiProxy(Connection(f"http://127.0.0.1:{server.server_address[1]}", None, connection.headers))
    server.RequestHandlerClass = _handler(proxy, connection.server, pool)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.freeze_connections()
        server.shutdown()
        server.server_close()


def _handler(proxy: ApiProxy, upstream: str, pool: urllib3.PoolManager) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.silenced = proxy.generation

        def handle_any(self) -> None:
            if proxy.down:
                self.close_connection = True
                return
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length) if length else None
            if self.silenced.is_set():
                self.stay_silent()
            elif (planned := proxy.take(self.command, self.path)) is not None:
                code, headers = planned
                self.reply(code, headers, json.dumps({"kind": "Status", "code": code, "message": "planned"}).encode())
            else:
                fault = proxy.strike(self.command, self.path, body) if proxy.strike else ""
                if fault == "before":
                    proxy.cut()
                    self.close_connection = True
                    return
                self.relay(body, lost=fault == "after")

        def relay(self, body: bytes | None, lost: bool) -> None:
            names = ("Accept", "Content-Type", "Authorization")
            headers = {name: value for name in names if (value := self.headers.get(name))}
            response = pool.request(
                self.command, upstream + self.path, body=body, headers=headers, preload_content=False, retries=False
            )
            try:
                if lost:
                    response.read()
                    proxy.cut()
                    self.close_connection = True
                    return
                if "watch=1" not in self.path:
                    self.reply(response.status, {}, response.read())
                    return
                self.send_response(response.status)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in response:
                    if proxy.down:
                        self.close_connection = True
                        return
                    if self.silenced.is_set():
                        self.stay_silent()
                        return
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.write(b"0\r\n\r\n")
            except (HTTPError, OSError):
                self.close_connection = True
            finally:
                response.close()

        def reply(self, code: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stay_silent(self) -> None:
            while self.rfile.read(1):
                pass
            self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
