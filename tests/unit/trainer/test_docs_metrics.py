"""docs/concepts/training.md names exactly the metrics, tags and phases that the code has."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

from sojourn import events
from sojourn_trainer.driver import main as driver
from sojourn_trainer.driver import observers
from sojourn_trainer.loop.flags import FLAG_COUNT
from sojourn_trainer.node import supervisor
from sojourn_trainer.workers import run as worker

PAGE = (Path(__file__).parents[3] / "docs" / "concepts" / "training.md").read_text()


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"^#+ ", PAGE.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]


def first_cells(heading: str) -> list[str]:
    """First cells of a section's table, without its two heading rows."""
    return re.findall(r"^\| (.*?) \|", section(heading), re.MULTILINE)[1:]


def test_ray_metrics() -> None:
    counters = re.findall(r'Counter\("(\w+)"', inspect.getsource(observers.RayMetrics))
    gauges = [f"sojourn_{name}" for name in observers._GAUGES]
    assert len(counters) == 2
    assert first_cells("Ray metrics") == [
        f"`ray_{name}`" for name in (*gauges, *(f"{name}_total" for name in counters))
    ]


def test_tensorboard_tags(tmp_path: Path) -> None:
    files = observers.TensorBoardFiles(tmp_path)
    files.observe(
        events.Progress(
            time=0, step=1, epoch=0, total_steps=2, loss=1, metrics={"<metric>": 1.0}, samples_per_second=1.0
        )
    )
    epoch = {"loss": 1.0, "<metric>": 1.0, "val_<metric>": 1.0}
    files.observe(events.EpochEnd(time=0, epoch=0, step=1, metrics=epoch))
    files.observe(events.Committed(time=0, step=1, bytes=1, seconds=1, stall_seconds=1, checkpoint="data/1-1-a"))
    files.close()
    (written,) = tmp_path.iterdir()
    # tensorboardX writes other characters than these as "_".
    found = set(re.findall(rb"(?:train|speed|epoch|checkpoint)/[\w<>]+", written.read_bytes()))
    shown = set(re.findall(r"`(\w+/[\w<>]+)`", "\n".join(first_cells("TensorBoard"))))
    assert {name.decode().replace("_metric_", "<metric>") for name in found} == shown


def test_phases_of_the_start() -> None:
    code = "".join(inspect.getsource(module) for module in (supervisor, driver, worker))
    code += (Path(worker.__file__).parents[1] / "loop" / "train.py").read_text()  # which would import TensorFlow
    phases = re.findall(r'(?:phase=|_emit_launch\(|timer\.phase\(|\.launched\()"([^"]+)"', code)
    assert first_cells("The start, in parts") == [f"`{phase}`" for phase in phases]


def test_flags() -> None:
    assert len(first_cells("The step boundary")) == FLAG_COUNT


def test_none_of_this_starts_tensorflow_or_ray() -> None:
    modules = "sojourn_trainer.driver.observers, sojourn_trainer.driver.main, sojourn_trainer.node.supervisor"
    check = (
        f"import sys, {modules}, sojourn_trainer.workers.run; print(sorted({{'tensorflow', 'ray'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_driver_imports_once_it_runs_starts_no_tensorflow() -> None:
    modules = "driver.launch, driver.actor, driver.lean_trainer, driver.tensorboard, workers.backend, workers.ray_entry"
    named = ", ".join(f"sojourn_trainer.{name}" for name in modules.split(", "))
    check = f"import sys, {named}, tensorboardX.summary; print(sorted({{'tensorflow', 'keras'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
