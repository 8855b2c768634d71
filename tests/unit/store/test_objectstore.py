"""What object stores are asked for, and what their errors become."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from helpers import races
from helpers.checkpoints import write_checkpoint
from helpers.logs import PREFIX, account, created
from helpers.store_servers import Server, free_ports
from sojourn.checkpoint.digest import CHUNK_BYTES
from sojourn.checkpoint.reader import CheckpointReader
from sojourn.errors import CorruptData, StoreError
from sojourn.runlog.log import RunLog
from sojourn.runlog.verify import verify_chain
from sojourn.store.base import KeyExists, StoreDenied
from sojourn.store.open import open_store


@contextmanager
def recorder(status: int) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers every PUT with `status`, and the headers of those that it saw."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


STORES = {
    "s3://bucket": ("endpoint", {"region": "r", "access_key_id": "k", "secret_access_key": "s"}, "if-none-match", "*"),
    "gs://bucket": ("base_url", {"bearer_token": "t"}, "x-goog-if-generation-match", "0"),
    "az://container": ("endpoint", {"account_name": "n", "account_key": "a2V5"}, "if-none-match", "*"),
}


@pytest.mark.parametrize("address", STORES)
def test_a_create_carries_its_condition(address: str) -> None:
    where, options, header, value = STORES[address]
    with recorder(201 if address.startswith("az") else 200) as (url, seen):
        open_store(f"{address}/runs", {where: url, **options}).create("a", b"entry")
    assert seen[0][header] == value


@pytest.mark.parametrize("address", STORES)
def test_a_condition_that_fails_means_that_the_key_exists(address: str) -> None:
    where, options, _, _ = STORES[address]
    with recorder(412) as (url, _), pytest.raises(KeyExists, match=f"{address}/runs/a exists already"):
        open_store(f"{address}/runs", {where: url, **options}).create("a", b"entry")


@pytest.mark.parametrize(("status", "hint"), [(403, "credentials"), (401, "AWS_ACCESS_KEY_ID"), (404, "bucket's name")])
def test_refusals_say_what_to_look_at(status: int, hint: str) -> None:
    where, options, _, _ = STORES["s3://bucket"]
    with recorder(status) as (url, _), pytest.raises(StoreError, match="cannot create s3://bucket/a: ") as caught:
        open_store("s3://bucket", {where: url, **options}).create("a", b"entry")
    assert hint in caught.value.hint
    assert isinstance(caught.value, StoreDenied) == (status in (401, 403))
    assert "\n" not in caught.value.message


@pytest.mark.slow
def test_a_server_that_is_not_there() -> None:
    (port,) = free_ports(1)
    where, options, _, _ = STORES["s3://bucket"]
    with pytest.raises(StoreError, match="cannot create s3://bucket/a") as caught:
        open_store("s3://bucket", {where: f"http://127.0.0.1:{port}", **options}).create("a", b"entry")
    assert "Check the endpoint and the network" in caught.value.hint


@pytest.mark.slow
def test_wrong_credentials(s3: Server) -> None:
    wrong = {**s3.options, "secret_access_key": "wrong"}
    with pytest.raises(StoreError, match="403") as caught:
        open_store(s3.address, wrong).put("a", b"")
    assert "credentials" in caught.value.hint


@pytest.mark.slow
def test_a_checkpoint_is_read_by_ranges_of_whole_chunks(s3: Server) -> None:
    store = s3.store("ranges")
    tensors = {f"t{n}": np.random.default_rng(n).integers(0, 255, CHUNK_BYTES + n, np.uint8) for n in range(2)}
    _, commit = write_checkpoint(store, "run", "data/1-1-u", {**tensors, "small": np.arange(3.0)}, shards=2)
    reader = CheckpointReader(store, "run", commit)
    read = reader.read()
    assert all(read[name].tobytes() == array.tobytes() for name, array in tensors.items())
    key = "run/data/1-1-u/ckpt.data-00001-of-00002"
    data = store.read(key)
    store.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CorruptData, match=r"data-00001-of-00002, chunk 1 .*do not match"):
        reader.read()
    store.put(key, data[:CHUNK_BYTES])
    with pytest.raises(CorruptData, match="the file ends after 8388608 of 8388609 bytes"):
        reader.read()
    store.delete(key)
    with pytest.raises(CorruptData, match="the file is missing"):
        reader.read()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_attempts_shut_each_other_out_on_a_real_server(kind: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)
    store = server.store("race")
    RunLog.create(store, PREFIX, created(), races.ENV)
    won = races.in_threads(races.train, store, [(PREFIX, me, 40) for me in "ab"])
    promised = [commit for done in won for commit in done]
    entries = account(store)
    committed = [(entry["term"], entry["checkpoint"]) for entry in entries if entry["type"] == "commit"]
    assert sorted(committed) == sorted(promised)
    assert verify_chain(RunLog.open(store, PREFIX)).entries == len(entries)
