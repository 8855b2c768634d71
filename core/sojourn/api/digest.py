"""Which run a manifest asks for: running it again resumes the run whose spec digest is the same.

What defines the run is what influences the numbers it computes. How long it trains, on how many workers, where its
code and checkpoints are kept and when it gives up may change on resume; docs/reference/manifest.md marks each field.
"""

from __future__ import annotations

import json
from typing import Any, Final

from blake3 import blake3

from sojourn.api.training_job import TrainingJob

DEFINING: Final[tuple[tuple[str, ...], ...]] = (
    ("task", "entrypoint"),
    ("task", "args"),
    ("data", "source"),
    ("data", "normalize"),
    ("data", "fillMissing"),
    ("data", "outliers"),
    ("data", "dropMissing"),
    ("data", "split"),
    ("data", "shuffle"),
    ("training", "globalBatchSize"),
    ("training", "seed"),
    ("training", "mode"),
    ("training", "threads"),
    ("training", "optimizer"),
    ("training", "loss"),
    ("training", "metrics"),
)
"""JSON paths, within spec, of the fields that define the run; threads count in mode Exact only."""


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8. Numbers that are equal (1 and 1.0) are written alike.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def run_definition(job: TrainingJob) -> dict[str, Any]:
    """The parts of a job that define its run, as plain JSON data with every default filled in."""
    spec = job.spec.to_manifest()
    if job.spec.training.mode != "Exact":
        del spec["training"]["threads"]
    result: dict[str, Any] = {"apiVersion": job.api_version, "kind": job.kind}
    for section, name in DEFINING:
        if name in spec.get(section, {}):
            result.setdefault(section, {})[name] = spec[section][name]
    return result


def spec_digest(job: TrainingJob) -> str:
    """ "blake3:<hex>" of what defines the run; equal for manifests that differ in form or in what may change."""
    return f"blake3:{blake3(canonical_json(run_definition(job))).hexdigest()}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    return value
