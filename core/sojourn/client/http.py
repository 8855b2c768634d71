"""One keep-alive connection to a model server, with patience for one that is still starting."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sojourn.client.endpoint import Endpoint
from sojourn.errors import SojournError

_PAUSE = 0.2


class PredictFailed(SojournError):
    """A model server could not be reached or refused a request. `status` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(slots=True)
class Connection:
    """Sends requests whose repetition does no harm.

    Args:
        timeout: seconds for one request.
        wait: seconds to keep trying while nobody listens or the server says it is not ready (503).
    """

    endpoint: Endpoint
    timeout: float = 30.0
    wait: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _open: http.client.HTTPConnection | None = field(default=None, init=False)

    def request(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any] | list[Any]:
        """The JSON document that the server answers.

        Raises:
            PredictFailed: the server cannot be reached, refuses, or answers something else.
        """
        deadline = self.clock() + self.wait
        while True:
            try:
                status, data = self._send(method, path, body)
                failure = _refusal(method, path, status, data)
                if failure is None:
                    return _document(path, data)
            except OSError as error:
                failure = PredictFailed(
                    f"cannot reach {self.endpoint.server}: {error.strerror or error}",
                    hint="Is the server running? --wait SECONDS waits for one that is starting.",
                )
            if failure.status not in (0, 503) or self.clock() >= deadline:
                raise failure
            self.sleep(_PAUSE)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        reused = self._open is not None
        try:
            return self._exchange(method, path, body)
        except (http.client.HTTPException, ConnectionError) as error:
            self.close()
            # A server may close an idle connection just as we use it again; a new connection tells the truth.
            if reused:
                return self._send(method, path, body)
            if isinstance(error, OSError):
                raise
            raise PredictFailed(f"{self.endpoint.server} does not speak HTTP: {error!r}", status=-1) from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._open is None:
            kind = http.client.HTTPSConnection if self.endpoint.scheme == "https" else http.client.HTTPConnection
            self._open = kind(self.endpoint.host, self.endpoint.port, timeout=self.timeout)
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            self._open.request(method, path, body, headers)
            answer = self._open.getresponse()
            data = answer.read()
        except TimeoutError as error:
            self.close()
            raise PredictFailed(
                f"{self.endpoint.server} did not answer within {self.timeout:g} s",
                hint="Give more with --timeout.",
                status=-1,
            ) from error
        if answer.will_close:
            self.close()
        return answer.status, data


def _refusal(method: str, path: str, status: int, data: bytes) -> PredictFailed | None:
    if status == 200:
        return None
    try:
        said = json.loads(data)["error"]
    except (ValueError, LookupError, TypeError):
        said = data[:200].decode(errors="replace") or "no reason"
    return PredictFailed(f"{method} {path} was answered with {status}: {said}", status=status)


def _document(path: str, data: bytes) -> dict[str, Any] | list[Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise PredictFailed(f"the answer to {path} is not JSON: {data[:80]!r}", status=-1) from error
    if not isinstance(document, dict | list):
        raise PredictFailed(f"the answer to {path} is not a JSON object: {data[:80]!r}", status=-1)
    return document
