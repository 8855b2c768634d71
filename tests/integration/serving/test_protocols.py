"""Both protocols over real HTTP: right answers, and errors that are the protocol's and never the server's."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.serving import Digits, Server, sojourn
from sojourn.client.predict import Predictor, predict

pytestmark = pytest.mark.tensorflow

V1 = "/v1/models/digits:predict"
V2 = "/v2/models/digits/infer"


def v2_body(images: np.ndarray, **more: Any) -> dict[str, Any]:
    tensor = {"name": "image", "shape": list(images.shape), "datatype": "FP32", "data": images.reshape(-1).tolist()}
    return {"inputs": [tensor], **more}


def test_every_form_gives_what_numpy_computes(server: Server, digits: Digits) -> None:
    images = digits.images[:3]
    expected = digits.expected(images)
    answers = [
        server.request("POST", V1, json.dumps({"instances": images.tolist()}).encode()),
        server.request("POST", V1, json.dumps({"instances": [{"image": row.tolist()} for row in images]}).encode()),
        server.request("POST", V1, json.dumps({"inputs": images.tolist()}).encode()),
        server.request(
            "POST",
            "/v1/models/digits/versions/1:predict",
            json.dumps({"signature_name": "serving_default", "inputs": {"image": images.tolist()}}).encode(),
        ),
        server.request("POST", V2, json.dumps(v2_body(images, id="x")).encode()),
        server.request(
            "POST",
            "/v2/models/digits/versions/1/infer",
            json.dumps(v2_body(images, outputs=[{"name": "probabilities"}])).encode(),
        ),
    ]

    assert [status for status, _ in answers] == [200] * 6
    for _, answer in answers[:2]:
        np.testing.assert_allclose(answer["predictions"], expected, atol=1e-5)
    for _, answer in answers[2:4]:
        np.testing.assert_allclose(answer["outputs"], expected, atol=1e-5)
    for _, answer in answers[4:]:
        assert (answer["model_name"], answer["model_version"]) == ("digits", "1")
        output = answer["outputs"][0]
        assert (output["name"], output["shape"], output["datatype"]) == ("probabilities", [3, 10], "FP32")
        np.testing.assert_allclose(np.reshape(output["data"], (3, 10)), expected, atol=1e-5)
    assert answers[4][1]["id"] == "x"
    assert "id" not in answers[5][1]


def test_more_rows_than_a_batch_holds(server: Server, digits: Digits) -> None:
    images = np.random.default_rng(0).random((150, 8, 8)).astype(np.float32)

    outputs = predict(server.address, images)

    np.testing.assert_allclose(outputs["probabilities"], digits.expected(images), atol=1e-5)


def test_the_client_speaks_both_protocols(server: Server, digits: Digits) -> None:
    for url, protocol in (
        (server.address, "v2"),
        (f"{server.address}/v1/models/digits", "v1"),
        (f"{server.address}/v2/models/digits", "v2"),
    ):
        with Predictor(url) as predictor:
            assert predictor.protocol == protocol
            assert [(t.name, t.shape) for t in predictor.model.inputs] == [("image", (-1, 8, 8))]
            for _ in range(2):
                outputs = predictor(digits.images)
            np.testing.assert_allclose(outputs["probabilities"], digits.expected(digits.images), atol=1e-5)


def test_predict_on_the_command_line(server: Server, digits: Digits) -> None:
    golden = str(digits.folder / "golden.npz")

    table = sojourn("predict", server.address, "--input", golden, "--rows", "2", "--wait", "5")
    as_json = sojourn("predict", f"{server.address}/v1/models/digits", "--input", golden, "-o", "json")
    wrong = sojourn("predict", f"{server.address}/v1/models/digit", "--input", golden)

    lines = table.stdout.splitlines()
    assert lines[0].split() == ["ROW", "PROBABILITIES", "ARGMAX"]
    assert [line.split()[-1] for line in lines[1:]] == [str(i) for i in digits.expected(digits.images[:2]).argmax(1)]
    np.testing.assert_allclose(json.loads(as_json.stdout)["probabilities"], digits.expected(digits.images), atol=1e-5)
    assert wrong.returncode == 1
    assert "404: model 'digit' is not served here; this server has 'digits'" in wrong.stderr


def test_what_servers_say_about_themselves(server: Server) -> None:
    def get(path: str) -> Any:
        status, document = server.request("GET", path)
        assert status == 200, path
        return document

    assert get("/v1/models/digits")["model_version_status"][0]["state"] == "AVAILABLE"
    assert get("/v1/models/digits/versions/1") == get("/v1/models/digits")
    assert get("/v1/models/digits/metadata")["model_spec"]["version"] == "1"
    assert get("/v2")["name"] == "sojourn"
    assert get("/v2/health/live") == {"live": True}
    assert get("/v2/health/ready") == {"ready": True}
    assert get("/v2/models/digits")["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8]}]
    assert get("/v2/models/digits/versions/1/ready") == {"name": "digits", "ready": True}
    assert get("/healthz") == {"live": True}
    assert get("/readyz") == {"ready": True}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/v1/models/digit:predict", b"{}", 404, "model 'digit' is not served here"),
        ("POST", "/v1/models/digits/versions/2:predict", b"{}", 404, "no version '2' here; version 1 is served"),
        ("GET", "/v2/models/digit", None, 404, "model 'digit' is not served here"),
        ("POST", "/v2/models/digit/infer", b"{}", 404, "model 'digit' is not served here"),
        ("POST", "/v1/models/digits:classify", b"{}", 501, "'classify' is not supported; use :predict"),
        ("GET", V1, None, 405, "GET is not allowed on digits:predict; send a POST"),
        ("POST", "/readyz", b"", 405, "POST is not allowed"),
        ("GET", "/v3", None, 404, "nothing is at '/v3'"),
        ("POST", V1, b"", 400, "the request body is empty"),
        ("POST", V1, b"{", 400, "not valid JSON"),
        ("POST", V1, b'{"instances": [[NaN]]}', 400, "NaN is not a JSON number"),
        ("POST", V1, b'{"instances": [[[1]]]}', 400, "expected float32 of shape [-1, 8, 8], got shape [1, 1, 1]"),
        ("POST", V1, b'{"instances": [{"x": 1}]}', 400, "unknown input 'x'; signature 'serving_default' takes 'image'"),
        ("POST", V2, b'{"inputs": []}', 400, "missing input 'image' (float32 of shape [-1, 8, 8])"),
        ("POST", V2, b'{"inputs": [{"name": "image", "datatype": "INT64"}]}', 400, "expected datatype 'FP32'"),
        ("POST", V1, b" " * (2 << 20), 413, "the body is longer than the 1048576 bytes that are accepted"),
    ],
)
def test_errors_are_the_protocols(
    server: Server, method: str, path: str, body: bytes | None, status: int, said: str
) -> None:
    got, document = server.request(method, path, body)

    assert got == status
    assert list(document) == ["error"]
    assert said in document["error"]


def test_compressed_and_binary_bodies_are_refused(server: Server) -> None:
    gzip = server.request("POST", V1, b"{}", **{"content-encoding": "gzip"})
    binary = server.request("POST", V2, b"{}", **{"inference-header-content-length": "2"})

    assert (gzip[0], binary[0]) == (415, 400)
    assert "binary tensor data extension is not supported" in binary[1]["error"]


IMAGE = json.dumps({"instances": [[[0.5] * 8] * 8]}).encode()
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["instances", "inputs", "name", "shape", "data", "b64"]), inner, max_size=3)
    ),
    max_leaves=15,
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "instances": values,
        "inputs": values
        | st.lists(
            st.fixed_dictionaries(
                {"name": st.just("image") | values},
                optional={"shape": values, "datatype": st.just("FP32") | values, "data": values},
            ),
            max_size=2,
        ),
        "outputs": values,
        "signature_name": values,
        "id": values,
        "parameters": values,
    },
)


@given(
    path=st.sampled_from([V1, V2]),
    body=documents.map(lambda document: json.dumps(document).encode())
    | values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=50)
    | st.integers(0, len(IMAGE) - 1).map(lambda cut: IMAGE[:cut]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_the_servers_fault(server: Server, path: str, body: bytes) -> None:
    status, document = server.request("POST", path, body)

    assert 400 <= status < 500, (body, document)
    assert isinstance(document["error"], str)


def test_a_scrape_sums_over_the_replicas(server: Server) -> None:
    name = "sojourn_serving_requests_total"
    before = server.metric(name)

    for _ in range(40):
        assert server.request("POST", V1, IMAGE)[0] == 200

    # One more for the first scrape itself.
    assert server.metric(name) - before == 41
    assert server.metric("sojourn_serving_ready_replicas") == 2
    assert server.metric("sojourn_serving_model_info") == 1
    assert server.metric("sojourn_serving_batched_requests_total") >= 40
