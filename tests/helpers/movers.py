"""Pairs of mover processes, and somebody who copies between their objects what a Migration would."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from helpers.object_server import ObjectServer, serve_object
from helpers.store_servers import free_ports
from sojourn.api.checkpoint_transfer import CheckpointTransfer
from sojourn.incluster import ApiServer, ObjectRef

SCRIPT = Path(__file__).with_name("mover_process.py")
Json = dict[str, Any]


class Mover:
    """One end: its object on a server of its own, and a process that is started, killed and started again."""

    def __init__(self, verb: str, served: tuple[ObjectServer, ApiServer], environment: dict[str, str]) -> None:
        self.verb, (self.server, self._address) = verb, served
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def status(self) -> Json:
        found: Json = self.server.object.get("status", {})
        return found

    def edit(self, **spec: Any) -> None:
        """Change its spec; None takes a field away."""
        found = self.server.object
        changed = {name: value for name, value in {**found["spec"], **spec}.items() if value is not None}
        self.server.set({**found, "spec": changed})

    def start(self) -> None:
        command = [sys.executable, "-P", str(SCRIPT), self.verb, str(self._address.port), str(self._address.token)]
        self.process = subprocess.Popen(command, env=os.environ | self._environment, stderr=subprocess.PIPE)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def end(self, seconds: float = 60) -> tuple[int, str]:
        """Exit code and log, once it has ended by itself."""
        assert self.process is not None
        _, log = self.process.communicate(timeout=seconds)
        return self.process.returncode, log.decode()

    def wait(self, condition: Callable[[Json], Any], seconds: float = 60) -> Json:
        """The status, once it satisfies the condition."""
        limit = time.monotonic() + seconds
        while not condition(self.status):
            if time.monotonic() > limit:
                raise AssertionError(f"{self.verb}: {self.status}")
            time.sleep(0.02)
        return self.status

    def check_schema(self) -> None:
        """Its object, with all that was reported, obeys the model."""
        found = self.server.object
        plain = {key: value for key, value in found.items() if key != "metadata"}
        CheckpointTransfer.from_manifest({**plain, "metadata": {"name": "t", "namespace": "team"}})


class Pair:
    """Two movers."""

    def __init__(self, send: Mover, receive: Mover) -> None:
        self.send, self.receive = send, receive
        self._ended = threading.Event()

    def start(self) -> None:
        for mover in (self.send, self.receive):
            mover.start()
        threading.Thread(target=self._introduce, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        for mover in (self.send, self.receive):
            if mover.process and mover.process.poll() is None:
                with contextlib.suppress(OSError):
                    mover.kill()
            mover.check_schema()

    def fence(self, migration: str = "0d6a3f0e-7f0c-4f6e-8f43-0b9b4c1f7f55", **changes: Any) -> None:
        """Ask the source to fence on what was verified."""
        verified, child = self.receive.status["verified"], self.receive.status["child"]
        recipient = {key: child[key] for key in ("runId", "run", "store")} | {"cluster": "west"}
        wanted = {"migrationId": migration, "term": verified["term"], "recipient": recipient}
        self.send.edit(fence={**wanted, "manifest": verified["manifest"], **changes})

    def hand_over(self) -> None:
        """Tell the target of the fence that was written."""
        fenced = self.send.status["fenced"]
        self.receive.edit(fence={key: fenced[key] for key in ("migrationId", "manifest", "digest")})

    def _introduce(self) -> None:
        """What a Migration copies, whenever it changes."""
        while not self._ended.wait(0.02):
            for mover, other in ((self.send, self.receive), (self.receive, self.send)):
                said = {key: other.status[key] for key in ("certificate", "offer") if other.status.get(key)}
                if said:
                    port = other._environment["SOJOURN_MOVER_PORT"]
                    peer = {**said, "address": "127.0.0.1", "port": int(port)}
                    if mover.server.object["spec"].get("peer") != peer:
                        mover.edit(peer=peer)


@contextmanager
def pair(folder: Path, source: str, target: str, spec: Json, environment: Json | None = None) -> Iterator[Pair]:
    """A pair between two stores, given by their addresses; `spec` is for both ends."""
    movers = []
    with ExitStack() as stack:
        for verb, store, port in zip(("send", "receive"), (source, target), free_ports(2), strict=True):
            name = f"t-{verb}"
            place = folder / verb
            place.mkdir()
            mine = {
                "role": verb.capitalize(),
                "source": {"storeRef": {"name": "here"}, "run": "digits", "namespace": "local"},
                "target": {"storeRef": {"name": "there"}, "namespace": "team"},
                **spec,
            }
            ref = ObjectRef("checkpointtransfers", name, "team")
            found = {"apiVersion": "sojourn.dev/v1alpha1", "kind": "CheckpointTransfer", "spec": mine}
            served = stack.enter_context(serve_object(place, ref, {**found, "metadata": {"uid": f"uid-{verb}"}}))
            variables = {
                "SOJOURN_STORE": store,
                "SOJOURN_TRANSFER_NAME": name,
                "SOJOURN_TRANSFER_NAMESPACE": "team",
                "SOJOURN_MOVER_PORT": str(port),
                "SOJOURN_MOVER_HOST": "127.0.0.1",
                **(environment or {}),
            }
            movers.append(Mover(verb, served, variables))
        both = Pair(*movers)
        stack.callback(both.close)
        both.start()
        yield both
