"""Real servers for the contract test: each starts on loopback with a data directory of its own, and is killed."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from sojourn.errors import StoreError
from sojourn.store.base import Store
from sojourn.store.open import open_store

_START_SECONDS = 60
# The development key that Azurite documents.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Server:
    """What a store needs to reach it: `address` is completed by a prefix."""

    address: str
    options: Mapping[str, str]

    def store(self, prefix: str) -> Store:
        return open_store(f"{self.address}/{prefix}", self.options)


def find_program(name: str) -> str | None:
    """A program beside this interpreter, where wheels put theirs, or on the path."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


@contextmanager
def s3_server(program: str, folder: Path, host: str = "127.0.0.1") -> Iterator[Server]:
    """SeaweedFS in its mini form, which makes a bucket on the first upload."""
    identity = {"name": "tester", "credentials": [{"accessKey": "key", "secretKey": "secret"}]}
    identities = [{**identity, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
    names += ["s3.port", "s3.port.grpc", "admin.port", "admin.port.grpc"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    settings = {
        "dir": folder,
        "ip": host,
        "ip.bind": host,
        "s3.config": folder / "s3.json",
        "s3.iam": "false",
        "s3.port.iceberg": 0,
        "s3.autoCreateBucket": "true",
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
        "filer.saveToFilerLimit": 64 << 10,
        "master.telemetry": "false",
        "admin.ui": "false",
        "webdav": "false",
    }
    command = [program, "-v=0", "mini", *(f"-{name}={value}" for name, value in (settings | ports).items())]
    options = {
        "endpoint": f"http://{host}:{ports['s3.port']}",
        "access_key_id": "key",
        "secret_access_key": "secret",
        "region": "us-east-1",
    }
    with _running(command, folder, Server("s3://sojourn-tests", options)) as server:
        yield server


@contextmanager
def azure_server(program: str, folder: Path) -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [program, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(folder)]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    options = {
        "account_name": "devstoreaccount1",
        "account_key": AZURITE_KEY,
        "endpoint": f"http://127.0.0.1:{port}/devstoreaccount1",
    }
    with _running(command, folder, Server("az://tests", options), lambda: _make_container(port)) as server:
        yield server


def _make_container(port: int) -> None:
    """PUT /tests?restype=container with Azure's SharedKey signature, which obstore makes for objects only."""
    path = "/devstoreaccount1/tests"
    stamp = format_datetime(datetime.now(UTC), usegmt=True)
    headers = {"x-ms-date": stamp, "x-ms-version": "2021-08-06"}
    named = "".join(f"{name}:{value}\n" for name, value in headers.items())
    text = "PUT" + "\n" * 12 + named + f"/devstoreaccount1{path}\nrestype:container"
    mac = hmac.digest(base64.b64decode(AZURITE_KEY), text.encode(), "sha256")
    headers["Authorization"] = f"SharedKey devstoreaccount1:{base64.b64encode(mac).decode()}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("PUT", f"{path}?restype=container", headers=headers)
    response = connection.getresponse()
    if response.status not in (201, 409):
        raise OSError(response.read().decode())
    connection.close()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


@contextmanager
def _running(
    command: list[str], folder: Path, server: Server, prepare: Callable[[], None] = lambda: None
) -> Iterator[Server]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        _wait(process, server, folder, prepare)
        yield server
    finally:
        # Its data is thrown away, and an orderly stop takes SeaweedFS 15 seconds.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], server: Server, folder: Path, prepare: Callable[[], None]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            prepare()
            server.store("started").put("probe", b"")
            return
        except (OSError, StoreError):
            time.sleep(0.05)
    raise RuntimeError(f"{Path(process.args[0]).name} did not start: {(folder / 'server.log').read_text()[-2000:]}")
