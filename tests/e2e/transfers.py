"""Both ends of a transfer on two test clusters, and what a Migration copies between their objects."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.clusters.access import Cluster
from e2e.clusters.commands import ClusterError
from e2e.clusters.layout import POD_USER
from helpers.runs import trained_run
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.store.posix import PosixStore

Json = dict[str, Any]
MIGRATION = "0d6a3f0e-7f0c-4f6e-8f43-0b9b4c1f7f55"


def give_to_pods(folder: Path) -> None:
    """Let the pods' user own a folder with all that is in it."""
    for parent, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(Path(parent, name), POD_USER, POD_USER)


def stored_run(folder: Path, *, megabytes: int = 0) -> RunLog:
    """A trained run in the store at `folder`, with a file of random bytes in its job's folder."""
    log = trained_run(PosixStore(folder), Env())
    if megabytes:
        log.store.put(f"{log.prefix}/job/aa/data.bin", os.urandom(megabytes << 20))
    give_to_pods(folder)
    return log


def store(namespace: str, name: str = "runs", claim: str = "runs") -> Json:
    """A CheckpointStore in a claim."""
    return {
        "apiVersion": "sojourn.dev/v1alpha1",
        "kind": "CheckpointStore",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"pvc": {"claimName": claim, "path": ""}},
    }


def until(get: Callable[[], Json], wanted: Callable[[Json], Any], what: str, seconds: float = 90) -> Json:
    """What `get` gives, once it is as wanted."""
    deadline = time.monotonic() + seconds
    while not wanted(found := get()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s\n{json.dumps(found, indent=1)}")
        time.sleep(0.3)
    return found


def wait_for_bytes(folder: Path, count: int, seconds: float = 120) -> None:
    """Until so many bytes of files, partial ones included, are in a store's folder."""
    deadline = time.monotonic() + seconds
    while sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) < count:
        assert time.monotonic() < deadline, "it does not proceed"
        time.sleep(0.1)


@dataclass
class End:
    """One CheckpointTransfer."""

    cluster: Cluster
    namespace: str
    name: str

    def get(self) -> Json:
        return self.cluster.get("checkpointtransfer", self.name, self.namespace)

    def status(self) -> Json:
        found: Json = self.get().get("status", {})
        return found

    def until(self, wanted: Callable[[Json], Any], what: str, seconds: float = 90) -> Json:
        try:
            return until(self.status, wanted, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from error

    def patch(self, **spec: Any) -> None:
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", "checkpointtransfer", self.name, "--type=merge", "-p", patch)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments)

    def kill(self) -> None:
        """Take the mover's pod away without a word."""
        selector = f"--selector=sojourn.dev/transfer={self.name}"
        self.kubectl("delete", "pods", selector, "--grace-period=0", "--force", "--wait=false")

    def condition(self, kind: str) -> str:
        return next((entry["status"] for entry in self.status().get("conditions", ()) if entry["type"] == kind), "")

    def story(self) -> str:
        parts = []
        for arguments in (
            ("get", "checkpointtransfers,jobs,pods,services", "-o", "wide"),
            ("logs", "-l", f"sojourn.dev/transfer={self.name}", "--tail=30", "--prefix"),
        ):
            try:
                parts.append(self.kubectl(*arguments))
            except ClusterError as error:
                parts.append(str(error))
        return "\n".join(parts)


@dataclass
class Ends:
    """Both ends, introduced to each other by a thread, as a Migration does it."""

    send: End
    receive: End
    _ended: threading.Event = field(default_factory=threading.Event)

    def begin(self, **spec: Any) -> None:
        for end, role in ((self.send, "Send"), (self.receive, "Receive")):
            body = {
                "role": role,
                "source": {"storeRef": {"name": "runs"}, "run": "digits", "namespace": "local"},
                "target": {"storeRef": {"name": "runs"}},
                **spec,
            }
            metadata = {"name": end.name, "namespace": end.namespace}
            kind = {"apiVersion": "sojourn.dev/v1alpha1", "kind": "CheckpointTransfer"}
            end.cluster.apply({**kind, "metadata": metadata, "spec": body})
        threading.Thread(target=self._introduce, daemon=True).start()

    def close(self) -> None:
        self._ended.set()

    def fence(self) -> Json:
        """Fence on what was verified, and tell the target; returns status.fenced."""
        said = self.receive.status()
        recipient = {name: said["child"][name] for name in ("runId", "run", "store")}
        verified = {name: said["verified"][name] for name in ("term", "manifest")}
        self.send.patch(fence={"migrationId": MIGRATION, **verified, "recipient": {**recipient, "cluster": "west"}})
        fenced: Json = self.send.until(lambda status: "fenced" in status, "the run is fenced")["fenced"]
        self.receive.patch(fence={name: fenced[name] for name in ("migrationId", "manifest", "digest")})
        return fenced

    def _introduce(self) -> None:
        while not self._ended.wait(0.3):
            try:
                self._copy(self.send, self.receive)
                self._copy(self.receive, self.send)
            except ClusterError:
                continue

    def _copy(self, source: End, target: End) -> None:
        status, spec = source.status(), target.get()["spec"]
        peer = {name: status[name] for name in ("certificate", "address", "port") if name in status}
        if "certificate" in peer and spec.get("peer") != peer:
            target.patch(peer=peer)
