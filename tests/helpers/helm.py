"""Finds Helm, and renders the chart with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[2] / "charts/sojourn"


def find_helm() -> str | None:
    """Helm's program: HELM, the one in PATH, or the one that `make clusters-up` has built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sojourn/bin"
    built = sorted(cache.glob("helm-*/helm"))
    return os.environ.get("HELM") or shutil.which("helm") or (str(built[-1]) if built else None)


def helm(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Helm; its exit code is the caller's business."""
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=120)


def render(program: str, *options: str, namespace: str = "ops", release: str = "sojourn") -> list[dict[str, Any]]:
    """The objects that the chart makes, hooks included."""
    done = helm(program, "template", release, str(CHART), "--namespace", namespace, *options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(objects: Sequence[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Name -> object, of one kind."""
    return {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == kind}
