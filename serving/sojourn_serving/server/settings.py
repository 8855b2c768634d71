"""What a server is told, and the form in which the supervisor hands it to its replicas."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sojourn.errors import InvalidInput

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server. Times are in seconds, `max_body` in bytes, `max_batch` and `max_waiting` in rows.

    `drain_delay` is how long a replica that shuts down still accepts connections while it says it is not ready, so
    that whoever balances load can notice; `grace` is how long requests in flight may take after that.
    """

    model: Path
    name: str
    version: int
    golden: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8501
    replicas: int = 1
    threads: int = 1
    max_batch: int = 64
    max_waiting: int = 4096
    max_body: int = 32 * MEBIBYTE
    grace: float = 30.0
    drain_delay: float = 0.0
    access_log: bool = False

    def __post_init__(self) -> None:
        """Raises InvalidInput for a number that makes no sense, or a name that does not fit in a URL."""
        for field in ("replicas", "threads", "max_batch", "max_waiting", "max_body"):
            if getattr(self, field) < 1:
                raise InvalidInput(f"{field} is {getattr(self, field)}; expected at least 1")
        for field in ("grace", "drain_delay"):
            if getattr(self, field) < 0:
                raise InvalidInput(f"{field} is {getattr(self, field)}; expected 0 or more seconds")
        if not 0 <= self.port <= 65535:
            raise InvalidInput(f"port is {self.port}; expected 0 (any free one) to 65535")
        if not self.name or set(self.name) & set("/:?#%") or not self.name.isprintable():
            raise InvalidInput(f"{self.name!r} cannot be a model's name in a URL", hint="give one with --name")

    def dumps(self) -> str:
        """JSON that `loads` reads."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def loads(cls, text: str) -> ServerSettings:
        """The settings that `dumps` wrote."""
        fields = json.loads(text)
        golden = fields.pop("golden")
        return cls(model=Path(fields.pop("model")), golden=Path(golden) if golden else None, **fields)
