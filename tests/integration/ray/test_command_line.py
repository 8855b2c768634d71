"""From nothing to a moved run, as a new user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sojourn_trainer.node.ray_node import RayNode

pytestmark = [pytest.mark.ray, pytest.mark.tensorflow]


def test_init_run_move_run(tmp_path: Path, ray_head: RayNode) -> None:
    def sojourn(*arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sojourn", *arguments],
            cwd=tmp_path,
            env={**os.environ, **ray_head.plan.environment, "XDG_STATE_HOME": str(tmp_path / "state")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    run = ("run", "first/job.yaml", "--output", "plain", "--ray-address", ray_head.plan.address)
    sojourn("init", "first")
    sojourn(*run, "--store", "here", "--set", "spec.training.epochs=2")
    sojourn("move", "first", "--store", "here", "--to", "there")
    assert "there" in sojourn(*run, "--store", "here", expect=4)
    assert "trains from step 52" in sojourn(*run, "--store", "there", "--set", "spec.training.epochs=3")
    runs = json.loads(sojourn("runs", "--store", "there", "-o", "json"))
    assert len(runs) == 1
