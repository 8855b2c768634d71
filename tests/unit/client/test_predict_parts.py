"""The prediction client's parts: addresses, files, arrays to and from both protocols, patience with a server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sojourn.client.endpoint import Endpoint, parse_endpoint
from sojourn.client.http import Connection, PredictFailed
from sojourn.client.inputs import first_rows, from_document, read_inputs
from sojourn.client.predict import Predictor
from sojourn.client.tensors import ServedModel, ServedTensor, from_v1, from_v2, to_arrays, v1_body, v2_body
from sojourn.errors import InvalidInput, NotFound

MODEL = ServedModel((ServedTensor("image", "FP32", (-1, 2)),), (ServedTensor("y", "FP32", (-1, 3)),))
PAIR = ServedModel(
    (ServedTensor("age", "INT8", (-1,)), ServedTensor("word", "BYTES", (-1,))), (ServedTensor("z", "BYTES", (-1,)),)
)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("localhost", Endpoint("http", "localhost", 8501)),
        ("localhost:80", Endpoint("http", "localhost", 80)),
        ("[::1]:9000", Endpoint("http", "::1", 9000)),
        ("https://models.example.org", Endpoint("https", "models.example.org", 443)),
        ("http://h:1/v1/models/digits:predict", Endpoint("http", "h", 1, "", "v1", "digits")),
        ("http://h:1/v1/models/digits/versions/3", Endpoint("http", "h", 1, "", "v1", "digits", "3")),
        ("http://h:1/a/b/v2/models/my%20model/infer", Endpoint("http", "h", 1, "/a/b", "v2", "my model")),
    ],
)
def test_addresses_of_servers_and_models(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize("text", ["", "ftp://h/x", "http://h:port", "http://"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not the address of a model server"):
        parse_endpoint(text)


def test_a_models_paths() -> None:
    endpoint = parse_endpoint("http://h/x/v1/models/a%2Fb/versions/3")

    assert endpoint.path("v1", ":predict") == "/x/v1/models/a%2Fb/versions/3:predict"
    assert endpoint.path("v2", "/infer") == "/x/v2/models/a%2Fb/versions/3/infer"


def test_inputs_take_the_models_names_and_dtypes() -> None:
    assert to_arrays([[1, 2]], MODEL)["image"].dtype == np.float32
    assert to_arrays({"age": [1], "word": ["a"]}, PAIR)["age"].dtype == np.int8


@pytest.mark.parametrize(
    ("inputs", "model", "said"),
    [
        ([1], PAIR, "the model has 2 inputs; give arrays by their names: age, word"),
        ({"img": [[1, 2]]}, MODEL, "the model's inputs are image; given are img"),
        ({"age": [1.5], "word": ["a"]}, PAIR, "input 'age' must be INT8 [-1]"),
        ({"age": [300], "word": ["a"]}, PAIR, "values from 300 to 300 do not fit"),
        ([["a", "b"]], MODEL, "input 'image' must be FP32 [-1, 2]"),
        ([[1, float("nan")]], MODEL, "has NaN or infinite values"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_here(inputs: Any, model: ServedModel, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        to_arrays(inputs, model)

    assert said in refused.value.message


def test_bodies_of_both_protocols() -> None:
    arrays = to_arrays({"age": [1, 2], "word": [b"\xff", "b"]}, PAIR)

    assert json.loads(v1_body(arrays, "s")) == {
        "signature_name": "s",
        "inputs": {"age": [1, 2], "word": [{"b64": "/w=="}, "b"]},
    }
    assert json.loads(v2_body(arrays, PAIR))["inputs"][0] == {
        "name": "age",
        "shape": [2],
        "datatype": "INT8",
        "data": [1, 2],
    }


def test_answers_of_both_protocols() -> None:
    v1 = from_v1({"outputs": [[1, 2, 3]]}, MODEL)
    v2 = from_v2({"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [1, None, 3]}]})
    text = from_v2(
        {
            "outputs": [
                {
                    "name": "z",
                    "datatype": "BYTES",
                    "shape": [1],
                    "data": ["/w=="],
                    "parameters": {"content_type": "base64"},
                }
            ]
        }
    )

    assert v1["y"].dtype == np.float32
    assert v2["y"].shape == (1, 3)
    assert np.isnan(v2["y"][0, 1])
    assert text["z"].tolist() == [b"\xff"]
    assert from_v1({"outputs": ["a", {"b64": "/w=="}]}, PAIR)["z"].tolist() == ["a", b"\xff"]


def test_inputs_from_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "named.npz", image=np.ones((2, 2)))
    np.savez(tmp_path / "one.npz", np.ones((2, 2)))
    np.savez(tmp_path / "golden.npz", **{"inputs/image": np.ones((2, 2)), "outputs/y": np.ones(2)})
    np.save(tmp_path / "one.npy", np.ones((2, 2)))

    assert list(read_inputs(str(tmp_path / "named.npz"))) == ["image"]  # type: ignore[arg-type]
    assert list(read_inputs(str(tmp_path / "golden.npz"))) == ["image"]  # type: ignore[arg-type]
    for name in ("one.npz", "one.npy"):
        assert np.shape(read_inputs(str(tmp_path / name))) == (2, 2)  # type: ignore[arg-type]
    assert np.shape(first_rows(read_inputs("-", b"[[1, 2], [3, 4]]"), 1)) == (1, 2)  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="there is no file"):
        read_inputs(str(tmp_path / "none.json"))
    with pytest.raises(InvalidInput, match="neither JSON nor"):
        read_inputs("-", b"{")


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [{"age": 1, "word": "a"}]},
        {"inputs": {"age": [1], "word": ["a"]}},
        {"age": [1], "word": ["a"]},
        {
            "inputs": [
                {"name": "age", "shape": [1], "datatype": "INT8", "data": [1]},
                {"name": "word", "shape": [1], "datatype": "BYTES", "data": ["a"]},
            ]
        },
    ],
)
def test_requests_of_either_protocol_are_inputs(document: Any) -> None:
    arrays = to_arrays(from_document(document, "x"), PAIR)

    assert arrays["age"].tolist() == [1]
    assert arrays["word"].tolist() == ["a"]


@pytest.mark.parametrize("document", [3, {"instances": [{"a": [1, 2]}, {"b": 1}]}, [[1], [1, 2]]])
def test_documents_that_hold_no_arrays_are_refused(document: Any) -> None:
    with pytest.raises(InvalidInput):
        from_document(document, "x")


Answer = tuple[int, bytes]


@pytest.fixture
def server() -> Iterator[Callable[[list[Answer]], Endpoint]]:
    """Starts an HTTP server that gives the answers one after the other, the last for ever."""
    started: list[ThreadingHTTPServer] = []

    def start(answers: list[Answer]) -> Endpoint:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, body = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                return

        running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        started.append(running)
        return Endpoint("http", "127.0.0.1", running.server_address[1])

    yield start
    for running in started:
        running.shutdown()
        running.server_close()


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def connect(endpoint: Endpoint, time: Time, wait: float) -> Connection:
    return Connection(endpoint, timeout=5, wait=wait, clock=time.clock, sleep=time.sleep)


def test_a_server_that_is_starting_is_waited_for(server: Callable[[list[Answer]], Endpoint]) -> None:
    time = Time()
    connection = connect(server([(503, b'{"error": "starting"}')] * 5 + [(200, b'{"a": 1}')]), time, wait=60)

    assert connection.request("GET", "/x") == {"a": 1}
    assert time.now == pytest.approx(1.0)


def test_patience_ends(server: Callable[[list[Answer]], Endpoint]) -> None:
    time = Time()
    with pytest.raises(PredictFailed, match="GET /x was answered with 503: starting") as failed:
        connect(server([(503, b'{"error": "starting"}')]), time, wait=3).request("GET", "/x")

    assert failed.value.status == 503
    assert time.now == pytest.approx(3, abs=0.3)


def test_nobody_listening_is_said_with_what_to_do() -> None:
    time = Time()
    with pytest.raises(PredictFailed, match=r"cannot reach http://127\.0\.0\.1:1: ") as failed:
        connect(Endpoint("http", "127.0.0.1", 1), time, wait=1).request("GET", "/x")

    assert "--wait" in failed.value.hint
    assert time.now >= 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, b'{"error": "instances: expected a list"}'), "was answered with 400: instances: expected a list"),
        ((500, b"<html>"), "was answered with 500: <html>"),
        ((200, b"<html>"), "is not JSON"),
        ((200, b"3"), "is not a JSON object"),
    ],
)
def test_refusals_are_told_at_once(server: Callable[[list[Answer]], Endpoint], answer: Answer, said: str) -> None:
    time = Time()
    with pytest.raises(PredictFailed) as failed:
        connect(server([answer]), time, wait=60).request("POST", "/x", b"{}")

    assert said in failed.value.message
    assert time.now == 0


@pytest.mark.parametrize("good", [0, 1])
def test_what_does_not_speak_http_is_said(good: int) -> None:
    """Also where the connection was good for a request before."""
    lines = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"] * good + [b"220 mail.example.org\r\n"]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    while peer.recv(65536):
                        peer.sendall(lines.pop(0) if len(lines) > 1 else lines[0])

        threading.Thread(target=serve, daemon=True).start()
        connection = connect(Endpoint("http", "127.0.0.1", listener.getsockname()[1]), Time(), wait=0)
        for _ in range(good):
            assert connection.request("GET", "/x") == {}
        with pytest.raises(PredictFailed, match="does not speak HTTP"):
            connection.request("GET", "/x")
        connection.close()


def test_a_server_that_only_speaks_v1_is_found_out(server: Callable[[list[Answer]], Endpoint]) -> None:
    shape = {"dim": [{"size": "-1", "name": ""}]}
    tensors = {"x": {"dtype": "DT_FLOAT", "tensor_shape": shape}}
    signature = {"serving_default": {"inputs": tensors, "outputs": {"y": tensors["x"]}}}
    metadata = {"metadata": {"signature_def": {"signature_def": signature}}}
    endpoint = server([(404, b'{"error": "no"}'), (200, json.dumps(metadata).encode()), (200, b'{"outputs": [2.0]}')])

    with Predictor(endpoint.server, model="m") as predictor:
        assert predictor.protocol == "v1"
        assert predictor([1.0])["y"].tolist() == [2.0]


def test_a_server_that_does_not_list_its_models_needs_a_name(server: Callable[[list[Answer]], Endpoint]) -> None:
    with pytest.raises(InvalidInput, match="does not say what it serves"):
        Predictor(server([(404, b"{}")]).server)
    with pytest.raises(InvalidInput, match="serves a, b"):
        Predictor(server([(200, b'[{"name": "a"}, {"name": "b"}]')]).server)
