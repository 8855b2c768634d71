"""Slices of TPUs as GKE's nodes describe themselves (https://cloud.google.com/kubernetes-engine/docs/concepts/tpus)."""

from __future__ import annotations

from math import prod

from sojourn.api import Tpu


def chips_of(topology: str) -> int:
    """Chips of a topology: "2x4" has 8."""
    return prod(int(axis) for axis in topology.split("x"))


def chips_per_worker(tpu: Tpu, replicas: int) -> int:
    """Chips of each host: all hosts of a slice have the same number, and each is one worker."""
    return chips_of(tpu.topology) // replicas


def divides_evenly(tpu: Tpu, replicas: int) -> bool:
    """Whether so many hosts can make up the slice."""
    return chips_of(tpu.topology) % replicas == 0


def node_selector(tpu: Tpu | None) -> dict[str, str]:
    """Labels of the nodes that have such a slice."""
    if tpu is None:
        return {}
    return {
        "cloud.google.com/gke-tpu-accelerator": tpu.accelerator,
        "cloud.google.com/gke-tpu-topology": tpu.topology,
    }
