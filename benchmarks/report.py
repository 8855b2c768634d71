"""What a benchmark leaves: a page in Markdown, its numbers as JSON, and the machine both were taken on."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "out"


def machine() -> str:
    """Cores, and the versions that decide the numbers."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow-cpu", "keras", "ray"))
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}"


def summary(values: Sequence[float], digits: int = 2) -> str:
    """Median and extremes, such as "1.02 (0.98 to 1.10)"."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(name: str, markdown: str, numbers: Mapping[str, Any]) -> None:
    """Print the page, and keep it and the numbers as benchmarks/out/<name>.md and .json."""
    OUT.mkdir(exist_ok=True)
    page = f"{markdown}\n\nMeasured on {machine()}.\n"
    (OUT / f"{name}.md").write_text(page)
    (OUT / f"{name}.json").write_text(json.dumps({"machine": machine(), **numbers}, indent=2) + "\n")
    print(page)
