"""What the exact result of a computation depends on besides its inputs: versions, processor, threads."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from sojourn import __version__

_RELEVANT = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "sve",
)


@dataclass(frozen=True)
class EnvironmentFacts:
    """Recorded with every checkpoint."""

    versions: dict[str, str]
    cpu_flags: tuple[str, ...]
    threads: dict[str, int]


@cache
def environment_facts() -> EnvironmentFacts:
    """Facts of this process; the same for its whole life."""
    return EnvironmentFacts(
        versions={
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "sojourn": __version__,
        },
        cpu_flags=_cpu_flags(),
        threads={
            "intraOp": tf.config.threading.get_intra_op_parallelism_threads(),
            "interOp": tf.config.threading.get_inter_op_parallelism_threads(),
        },
    )


def _cpu_flags() -> tuple[str, ...]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            present = set(value.split())
            return tuple(flag for flag in _RELEVANT if flag in present)
    return ()
