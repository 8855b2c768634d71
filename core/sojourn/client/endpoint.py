"""What people type to name a served model, as an endpoint. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from sojourn.errors import InvalidInput

Protocol = Literal["v1", "v2"]

_DEFAULT_PORT = 8501
_MODEL = re.compile(
    r"/(?P<protocol>v1|v2)/models/(?P<model>[^/:]+)(/versions/(?P<version>\d+))?(:predict|/infer|/metadata|/ready)?/?"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and as much about the model as its URL says: None is still open."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    protocol: Protocol | None = None
    model: str | None = None
    version: str | None = None

    @property
    def server(self) -> str:
        """Scheme, host and port, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"

    def path(self, protocol: Protocol, verb: str = "") -> str:
        """Path of the model in `protocol`; `verb` is what follows it, such as ":predict" or "/infer"."""
        version = f"/versions/{self.version}" if self.version else ""
        return f"{self.prefix}/{protocol}/models/{quote(self.model or '', safe='')}{version}{verb}"


def parse_endpoint(text: str) -> Endpoint:
    """An endpoint from `host`, `host:port`, `http://host:port` or the URL of a model in either protocol.

    Raises:
        InvalidInput: it is none of these.
    """
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise InvalidInput(
            f"{text!r} is not the address of a model server",
            hint="Write host:port, or http://host:port/v1/models/NAME, or http://host:port/v2/models/NAME.",
        )
    if port is None:
        port = (443 if parts.scheme == "https" else 80) if "://" in text else _DEFAULT_PORT
    found = re.search(_MODEL.pattern + "$", parts.path)
    if found is None:
        return Endpoint(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))
    protocol: Protocol = "v1" if found["protocol"] == "v1" else "v2"
    prefix = parts.path[: found.start()]
    return Endpoint(parts.scheme, parts.hostname, port, prefix, protocol, unquote(found["model"]), found["version"])
