"""The control groups below which a cluster's pods live, in the hierarchies of cgroup version 1."""

from __future__ import annotations

import os
from pathlib import Path

from e2e.clusters.commands import wait_until

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd")


def create(name: str) -> None:
    """Make the group in every hierarchy that kubelet and runc use."""
    for controller in CONTROLLERS:
        (ROOT / controller / name).mkdir(exist_ok=True)
    for setting in ("cpuset.cpus", "cpuset.mems"):
        # A new group has none, and cannot hold a process until it has some.
        (ROOT / "cpuset" / name / setting).write_text((ROOT / "cpuset" / setting).read_text())


def remove(name: str) -> None:
    """Remove the group from every hierarchy once its last process is gone."""

    def removed() -> bool:
        for group in existing(name):
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    return False
        return not existing(name)

    wait_until(removed, f"the control groups {name} are removed", seconds=20)


def existing(name: str) -> list[Path]:
    """Where the group exists now."""
    return [group for hierarchy in ROOT.iterdir() if (group := hierarchy / name).is_dir()]
