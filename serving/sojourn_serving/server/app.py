"""The HTTP surface: routes of both protocols, health and metrics, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn import __version__
from sojourn_serving.server import metrics
from sojourn_serving.server.batcher import Batcher
from sojourn_serving.server.lifecycle import Lifecycle
from sojourn_serving.server.protocol import encode, v1, v2
from sojourn_serving.server.protocol.errors import RequestError
from sojourn_serving.server.protocol.signature import ModelInfo

_DISCARDED = 4
_Handler = Callable[[Request], Awaitable[Response]]


class Endpoints:
    """Answers requests about one model.

    Args:
        max_body: bytes; a longer body is refused (413) and not kept.
    """

    def __init__(self, model: ModelInfo, batcher: Batcher, lifecycle: Lifecycle, max_body: int) -> None:
        self.model = model
        self.batcher = batcher
        self.lifecycle = lifecycle
        self.max_body = max_body

    async def v1_predict(self, request: Request) -> Response:
        self._require(request)
        predict = v1.parse(await self._body(request), self.model)
        return _json(v1.render(predict, await self.batcher.submit(predict.query)))

    async def v1_status(self, request: Request) -> Response:
        name, verb = (*request.path_params["model"].partition(":"),)[::2]
        if verb:
            raise RequestError(f"{request.method} is not allowed on {name}:{verb}; send a POST", 405)
        self._require(request)
        return _json(encode.dumps(v1.status(self.model, available=self.lifecycle.ready)))

    async def v1_metadata(self, request: Request) -> Response:
        self._require(request)
        return _json(encode.dumps(v1.metadata(self.model)))

    async def v1_unsupported(self, request: Request) -> Response:
        self._require(request)
        verb = request.path_params["verb"]
        raise RequestError(f"{verb!r} is not supported; use :predict with the signature's own inputs", 501)

    async def v2_infer(self, request: Request) -> Response:
        self._require(request)
        if "inference-header-content-length" in request.headers:
            raise RequestError("the binary tensor data extension is not supported; send JSON", 400)
        infer = v2.parse(await self._body(request), self.model)
        return _json(v2.render(infer, await self.batcher.submit(infer.query), self.model))

    async def v2_server(self, request: Request) -> Response:
        return _json(encode.dumps(v2.server_metadata(__version__)))

    async def v2_index(self, request: Request) -> Response:
        return _json(encode.dumps(v2.repository_index(self.model, ready=self.lifecycle.ready)))

    async def v2_model(self, request: Request) -> Response:
        self._require(request)
        return _json(encode.dumps(v2.model_metadata(self.model)))

    async def v2_model_ready(self, request: Request) -> Response:
        self._require(request)
        ready = self.lifecycle.ready
        return _json(encode.dumps({"name": self.model.name, "ready": ready}), 200 if ready else 503)

    async def live(self, request: Request) -> Response:
        return _json(encode.dumps({"live": True}))

    async def ready(self, request: Request) -> Response:
        ready = self.lifecycle.ready
        return _json(encode.dumps({"ready": ready}), 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(await asyncio.to_thread(metrics.scrape), headers={"content-type": metrics.CONTENT_TYPE})

    def _require(self, request: Request) -> None:
        self.model.require(request.path_params["model"], request.path_params.get("version"))

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RequestError("content-encoding is not supported; send the JSON as it is", 415)
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            # Reading on for a while lets most clients get to the answer; a reset connection would hide it from them.
            if size > _DISCARDED * self.max_body:
                break
            if size <= self.max_body:
                parts.append(part)
        if size > self.max_body:
            raise RequestError(f"the body is longer than the {self.max_body} bytes that are accepted", 413)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def build_app(endpoints: Endpoints) -> Starlette:
    """The application; every error it answers is a JSON object with the one key "error"."""

    def versions(path: str, handler: _Handler, operation: str, verb: str = "GET") -> list[Route]:
        protocol = path[1:3]
        both = (path, path.replace("{model}", "{model}/versions/{version}"))
        return [_route(form, handler, (protocol, operation), verb) for form in both]

    health = ("http", "health")
    app = Starlette(
        routes=[
            *versions("/v1/models/{model}:predict", endpoints.v1_predict, "predict", "POST"),
            *versions("/v2/models/{model}/infer", endpoints.v2_infer, "predict", "POST"),
            *versions("/v1/models/{model}:{verb}", endpoints.v1_unsupported, "other", "POST"),
            *versions("/v1/models/{model}", endpoints.v1_status, "status"),
            *versions("/v1/models/{model}/metadata", endpoints.v1_metadata, "metadata"),
            _route("/v2", endpoints.v2_server, ("v2", "metadata")),
            _route("/v2/repository/index", endpoints.v2_index, ("v2", "metadata"), "POST"),
            _route("/v2/health/live", endpoints.live, health),
            _route("/v2/health/ready", endpoints.ready, health),
            *versions("/v2/models/{model}", endpoints.v2_model, "metadata"),
            *versions("/v2/models/{model}/ready", endpoints.v2_model_ready, "health"),
            _route("/healthz", endpoints.live, health),
            _route("/readyz", endpoints.ready, health),
            _route("/metrics", endpoints.metrics, ("http", "metrics")),
        ],
        exception_handlers={
            RequestError: _refused,
            HTTPException: _no_route,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    return app


def _route(path: str, handler: _Handler, operation: tuple[str, str], verb: str = "GET") -> Route:
    async def named(request: Request) -> Response:
        request.scope["operation"] = operation
        return await handler(request)

    return Route(path, named, methods=[verb])


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _error(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(encode.dumps({"error": message}), status, headers=headers, media_type="application/json")


async def _refused(request: Request, error: Any) -> Response:
    # A refused body was perhaps not read to its end: what follows on this connection is not a request.
    headers = {413: {"connection": "close"}, 415: {"connection": "close"}, 503: {"retry-after": "1"}}.get(error.status)
    return _error(error.message, error.status, headers)


async def _no_route(request: Request, error: Any) -> Response:
    described = {
        404: f"nothing is at {request.url.path!r:.200}; try /v1/models/<name>, /v2, /healthz, /readyz or /metrics",
        405: f"{request.method} is not allowed on {request.url.path!r:.200}",
    }
    return _error(described.get(error.status_code, error.detail), error.status_code, dict(error.headers or {}))


async def _gone(request: Request, error: Exception) -> Response:
    return _error("the client went away before it sent the whole body", 400)


async def _failed(request: Request, error: Exception) -> Response:
    return _error("internal error; the server's log has the details", 500)
