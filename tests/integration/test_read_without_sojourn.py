"""The recipes of docs/guides/read-without-sojourn.md, run as they stand in a process that has no Sojourn."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.checkpoints import write_checkpoint
from helpers.runs import Clock, commit_step, trained_run
from sojourn.store.posix import PosixStore
from sojourn.transfer import Destination, copy_run, move_run

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "read-without-sojourn.md"
FIND, RESTORE, NUMPY, CHECK = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)

# The development install puts the source roots on the path; without them nothing of Sojourn can be found.
BARE = """
import importlib.util, pathlib, sys
sys.path[:] = [entry for entry in sys.path if not (pathlib.Path(entry or ".") / "sojourn").exists()]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
assert importlib.util.find_spec("sojourn") is None
"""


def run_recipe(recipe: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    script = cwd / "recipe.py"
    script.write_text(BARE + recipe)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=cwd,
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_numpy_reads_the_tensors(tmp_path: Path) -> None:
    log = trained_run(PosixStore(tmp_path / "runs"), Clock().env())
    latest = log.state.latest
    assert latest is not None
    done = run_recipe(NUMPY, str(tmp_path / "runs" / log.prefix / latest.checkpoint), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "model/layer_0/kernel float32 (5, 1)" in done.stdout
    assert "metrics/0/empty float64 (0, 3)" in done.stdout


def test_blake3_checks_the_files(tmp_path: Path) -> None:
    log = trained_run(PosixStore(tmp_path / "runs"), Clock().env())
    latest = log.state.latest
    assert latest is not None
    folder = tmp_path / "runs" / log.prefix / latest.checkpoint
    good = run_recipe(CHECK, str(folder), latest.manifest, cwd=tmp_path)
    assert (good.returncode, good.stdout) == (0, "good\n"), good.stderr
    (folder / "ckpt.index").write_bytes(b"x" + (folder / "ckpt.index").read_bytes()[1:])
    bad = run_recipe(CHECK, str(folder), latest.manifest, cwd=tmp_path)
    assert bad.returncode == 1
    assert "ckpt.index is damaged" in bad.stderr


TASK = """
import keras

def build():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")], name="mlp")
"""
KERNEL, BIAS = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0.5, -0.5], np.float32)

# One process for all runs and both recipes: starting TensorFlow takes longer than everything else.
EACH = """
import json
find, restore, model, *runs = json.loads(sys.argv[1])
for run in runs:
    sys.argv[1:] = [run]
    exec(find, {})
sys.argv[1:] = [model]
exec(restore, {})
import keras
weights = keras.models.load_model("model.keras").get_weights()
print("weights", [weight.tolist() for weight in weights])
"""


def runs_of_every_sort(folder: Path) -> list[tuple[str, int]]:
    """Folder and newest step of runs that trained, moved, were adopted, and went on after a move."""
    clock = Clock()
    here, there = PosixStore(folder / "here"), PosixStore(folder / "there")
    trained = trained_run(here, clock.env())
    adopted = copy_run(trained, Destination(here, name="branch"), env=clock.env()).child
    moved = move_run(trained, Destination(there), env=clock.env()).child
    gone_on = copy_run(moved, Destination(there, name="later"), env=clock.env()).child
    gone_on.begin_attempt("there")
    commit_step(gone_on, 40)
    gone_on.retire(term=gone_on.state.term, keys=[gone_on.state.commits[0].checkpoint])
    return [
        (str(here.root / trained.prefix), 30),
        (str(here.root / adopted.prefix), 30),
        (str(there.root / moved.prefix), 30),
        (str(there.root / gone_on.prefix), 40),
    ]


@pytest.mark.tensorflow
def test_tensorflow_finds_the_newest_checkpoint_and_restores_a_model(tmp_path: Path) -> None:
    runs = runs_of_every_sort(tmp_path)
    tensors = {"model/mlp/dense/kernel": KERNEL, "model/mlp/dense/bias": BIAS}
    write_checkpoint(PosixStore(tmp_path), "run", "data/1-1-u", tensors)
    (tmp_path / "my_task.py").write_text(TASK)
    wanted = [FIND, RESTORE, str(tmp_path / "run/data/1-1-u/ckpt"), *(run for run, _ in runs)]
    done = run_recipe(EACH, json.dumps(wanted), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [int(step) for step in re.findall(r"^step (\d+) in data/", done.stdout, re.MULTILINE)] == [
        step for _, step in runs
    ]
    assert done.stdout.count("model/layer_3/kernel [5, 4]") == len(runs)
    assert done.stdout.strip().endswith(f"weights {[KERNEL.tolist(), BIAS.tolist()]}")
