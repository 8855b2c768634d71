"""What a model server's pods run before they serve: the lookup, and the copy that is verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.trained import JobFiles, make_run
from sojourn.checkpoint.digest import digest
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import ExportInfo
from sojourn.store.posix import PosixStore
from sojourn_serving.export.files import upload


@dataclass
class Fetch:
    """A store with the run `digits`, and the program on it."""

    store: PosixStore
    log: RunLog
    folder: Path

    def export(self, version: int, formats: tuple[str, ...] = ("SavedModel",)) -> str:
        """Add an export; the digest of its manifest."""
        files = self.folder / f"files-{version}"
        (files / "variables").mkdir(parents=True)
        (files / "saved_model.pb").write_bytes(b"graph %d" % version)
        (files / "variables" / "data").write_bytes(os.urandom(1000))
        key = f"export/{version}"
        records = upload(self.store, f"{self.log.prefix}/{key}", files)
        manifest = json.dumps({"files": [record.to_json() for record in records]}).encode()
        self.store.put(f"{self.log.prefix}/{key}/manifest.json", manifest)
        info = ExportInfo(version=version, key=key, manifest=digest(manifest), step=100, formats=formats)
        self.log.export(info)
        return info.manifest

    def run(self, *arguments: str) -> tuple[int, Any]:
        """Exit code and report."""
        report = self.folder / "report"
        report.write_text("")
        done = subprocess.run(
            [sys.executable, "-m", "sojourn_serving.fetch", *arguments, "--report", str(report)],
            env={**os.environ, "SOJOURN_STORE": str(self.store.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        text = report.read_text()
        return done.returncode, json.loads(text) if text else done.stdout

    def load(self, version: int, manifest: str) -> tuple[int, Any]:
        return self.run(
            "load", self.log.prefix, f"--version={version}", f"--manifest={manifest}", f"--into={self.folder / 'pod'}"
        )


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    store = PosixStore(tmp_path / "store")
    log = make_run(store, "digits", JobFiles("tasks:build", {}), {"model/w": np.ones(3, np.float32)})
    return Fetch(store, log, tmp_path)


def test_the_newest_export_is_found(fetch: Fetch) -> None:
    fetch.export(1)
    manifest = fetch.export(2)
    fetch.export(3, ("Keras",))
    code, found = fetch.run("resolve", "local/digits")
    assert code == 0
    assert found == {"version": 2, "manifest": manifest, "run": fetch.log.prefix, "step": 100}


def test_a_version_or_a_checkpoint_can_be_named(fetch: Fetch) -> None:
    manifest = fetch.export(1)
    fetch.export(2)
    assert fetch.run("resolve", "local/digits", "--version=1")[1]["manifest"] == manifest
    assert fetch.run("resolve", "local/digits@100")[1]["version"] == 2
    assert fetch.run("resolve", fetch.log.prefix)[1]["version"] == 2


@pytest.mark.parametrize(
    ("arguments", "reason", "words"),
    [
        (("local/digits",), "NoExport", "the run 'digits' has no SavedModel export"),
        (("local/digits", "--version=7"), "NoExport", "has no SavedModel export 7"),
        (("local/nothing",), "RunNotFound", "there is no run 'nothing'"),
        (("Local//digits@@",), "InvalidModel", "is not the address"),
    ],
)
def test_what_cannot_be_found_is_reported(fetch: Fetch, arguments: tuple[str, ...], reason: str, words: str) -> None:
    code, said = fetch.run("resolve", *arguments)
    assert code != 0
    assert said["reason"] == reason
    assert words in said["message"]
    if reason == "NoExport":
        assert "spec.export.formats" in said["hint"]


def test_an_export_is_copied_whole(fetch: Fetch) -> None:
    manifest = fetch.export(1)
    code, printed = fetch.load(1, manifest)
    folder = fetch.folder / "pod" / manifest.removeprefix("blake3:") / "1"
    assert (code, printed.strip()) == (0, str(folder))
    assert (folder / "saved_model.pb").read_bytes() == b"graph 1"
    assert {path.name for path in folder.iterdir()} == {"saved_model.pb", "variables", "manifest.json"}


def test_a_changed_byte_keeps_it_from_being_served(fetch: Fetch) -> None:
    manifest = fetch.export(1)
    stored = fetch.store.root / fetch.log.prefix / "export" / "1" / "variables" / "data"
    stored.write_bytes(b"x" + stored.read_bytes()[1:])
    code, said = fetch.load(1, manifest)
    assert (code, said["reason"]) == (5, "Corrupt")
    assert "variables/data" in said["message"]
    assert not (fetch.folder / "pod" / manifest.removeprefix("blake3:") / "1").exists()


def test_another_manifest_than_the_one_asked_for_is_refused(fetch: Fetch) -> None:
    manifest = fetch.export(1)
    fetch.export(2)
    code, said = fetch.load(2, manifest)
    assert (code, said["reason"]) == (5, "Corrupt")
