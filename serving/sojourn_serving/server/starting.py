"""Answers on the server's port while no replica is ready yet: probes and clients see "not ready", not silence."""

from __future__ import annotations

import asyncio
import json
import socket

_MAX_HEAD = 64 * 1024
_PATIENCE = 5.0


class StartingResponder:
    """Accepts on a duplicate of the listening socket: /healthz is answered 200, everything else 503, and closed."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_server(self._answer, sock=self._listener.dup(), limit=_MAX_HEAD)

    def stop(self) -> None:
        """Leave the socket to the replicas. Calling it again does nothing."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            writer.write(answer(head))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass
        finally:
            writer.close()


def answer(head: bytes) -> bytes:
    """The whole HTTP answer to a request with this head."""
    words = head.split(b" ", 2)
    document: dict[str, object]
    if len(words) == 3 and words[1] in (b"/healthz", b"/v2/health/live"):
        status, document = "200 OK", {"live": True}
    else:
        status, document = "503 Service Unavailable", {"error": "starting: no replica has loaded the model yet"}
    body = json.dumps(document).encode()
    lines = [
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "retry-after: 1",
        "connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
