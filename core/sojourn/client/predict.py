"""Ask a served model for predictions, over TensorFlow Serving's REST protocol or the Open Inference Protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sojourn.client.endpoint import Endpoint, Protocol, parse_endpoint
from sojourn.client.http import Connection, PredictFailed
from sojourn.client.tensors import (
    Array,
    Inputs,
    ServedModel,
    from_v1,
    from_v2,
    model_from_v1,
    model_from_v2,
    to_arrays,
    v1_body,
    v2_body,
)
from sojourn.errors import InvalidInput

DEFAULT_SIGNATURE = "serving_default"


class Predictor:
    """A served model, asked again and again over one connection. Not for several threads at once.

    Args:
        url: host:port of the server, or the URL of a model in either protocol.
        model: its name; needed where the URL has none and the server cannot tell.
        protocol: "v1" or "v2"; by default what the URL says, else what the server speaks, V2 first.
        signature: of a SavedModel; another one than the default implies V1.
        timeout: seconds for one request.
        wait: seconds to wait for a server that is still starting.

    Raises:
        InvalidInput: the URL is none, or the model's name is open.
        PredictFailed: the server cannot be reached, or does not know the model.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        protocol: Protocol | None = None,
        signature: str = DEFAULT_SIGNATURE,
        timeout: float = 30.0,
        wait: float = 0.0,
    ) -> None:
        endpoint = parse_endpoint(url)
        self._connection = Connection(endpoint, timeout, wait)
        self._signature = signature
        self._endpoint = replace(endpoint, model=model or endpoint.model or self._only_model(endpoint))
        wanted = protocol or endpoint.protocol or ("v1" if signature != DEFAULT_SIGNATURE else None)
        self.protocol, self.model = self._describe(wanted)

    def __call__(self, inputs: Inputs) -> dict[str, Array]:
        """Outputs by name, for a batch of inputs: arrays by name, or one array for a model with one input.

        Raises:
            InvalidInput: the inputs do not fit the model.
            PredictFailed: the server refuses them or cannot be reached.
        """
        arrays = to_arrays(inputs, self.model)
        if self.protocol == "v1":
            return from_v1(self._ask("v1", ":predict", v1_body(arrays, self._signature)), self.model)
        return from_v2(self._ask("v2", "/infer", v2_body(arrays, self.model)))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _describe(self, wanted: Protocol | None) -> tuple[Protocol, ServedModel]:
        if wanted != "v1":
            try:
                return "v2", model_from_v2(self._ask("v2"))
            except PredictFailed as error:
                if wanted == "v2" or error.status not in (400, 404):
                    raise
        return "v1", model_from_v1(self._ask("v1", "/metadata"), self._signature)

    def _ask(self, protocol: Protocol, verb: str = "", body: bytes | None = None) -> dict[str, Any]:
        path = self._endpoint.path(protocol, verb)
        document = self._connection.request("GET" if body is None else "POST", path, body)
        if not isinstance(document, dict):
            raise PredictFailed(f"the answer to {path} is not a JSON object", status=-1)
        return document

    def _only_model(self, endpoint: Endpoint) -> str:
        """The one model of a server that lists its models (Triton's repository index, which `sojourn serve` has)."""
        try:
            listed = self._connection.request("POST", f"{endpoint.prefix}/v2/repository/index", b"{}")
        except PredictFailed as error:
            if error.status in (0, 503, -1):
                raise
            listed = []
        names = [entry["name"] for entry in listed if isinstance(entry, dict) and "name" in entry]
        if len(names) != 1:
            said = f"serves {', '.join(names)}" if names else "does not say what it serves"
            raise InvalidInput(f"{endpoint.server} {said}", hint="Name the model: http://host:port/v1/models/NAME.")
        return str(names[0])


def predict(
    url: str,
    inputs: Inputs,
    *,
    model: str | None = None,
    protocol: Protocol | None = None,
    timeout: float = 30.0,
    wait: float = 0.0,
) -> dict[str, Array]:
    """Outputs by name for one batch of inputs; see `Predictor`, which keeps its connection, for the arguments."""
    with Predictor(url, model=model, protocol=protocol, timeout=timeout, wait=wait) as predictor:
        return predictor(inputs)
