"""Small pages over HTTP: metrics for Prometheus, health and readiness for the kubelet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from sojourn.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Answer:
    """A page."""

    code: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Answer]]


def serve(address: str, pages: Pages) -> ThreadingHTTPServer:
    """Answer GET on "host:port" or ":port" from threads of its own, until `shutdown`.

    Raises:
        InvalidInput: nobody can listen there.
    """
    host, _, port = address.rpartition(":")
    try:
        server = _Server((host.strip("[]") or "0.0.0.0", int(port)), _handler(pages))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot listen on {address!r}: {error}", hint="give another one, or none") from error
    Thread(target=server.serve_forever, name=f"http-{port}", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            answer = page() if page is not None else Answer(404, b"not found\n")
            self.send_response(answer.code)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
