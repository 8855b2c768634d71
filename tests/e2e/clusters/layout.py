"""Names, addresses and folders of the test clusters: everything that two of them on one machine must not share.

Addresses are of 198.18.0.0/15, the range of RFC 2544 that is set aside for tests of networks. One half of it serves
one pair of clusters; SOJOURN_E2E_INSTANCE=1 stands for a second pair, as the tests of going up and down need one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

INSTANCE = int(os.environ.get("SOJOURN_E2E_INSTANCE", "0"))
_SUFFIX = f"-{INSTANCE}" if INSTANCE else ""
_PREFIX = f"198.{18 + INSTANCE % 2}"

RANGE = f"{_PREFIX}.0.0/16"
REGISTRY_ADDRESS = f"{_PREFIX}.3.1"
REGISTRY_PORT = 5000
# What pods write: every node maps this name to its route to the registry.
REGISTRY_NAME = "registry.test"
API_PORT = 6443
# The pods of jobs run as this user (see the Dockerfile), so it must own the folders behind their volumes.
POD_USER = 65532


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster's place in the network. It has a management link to this machine and a WAN link to the other."""

    name: str
    wan: str
    management: str
    gateway: str
    pods: str
    services: str
    first_service: str
    dns: str

    @property
    def node(self) -> str:
        return f"{self.name}-node"

    @property
    def marker(self) -> str:
        """An argument of the process that holds the cluster's namespaces, and of no other process."""
        return f"sojourn-test-cluster-{self.name}{_SUFFIX}"

    @property
    def cgroup(self) -> str:
        return f"sojourn-{self.name}{_SUFFIX}"

    @property
    def management_link(self) -> str:
        """The machine's end of the link; at most 15 characters."""
        return f"sojourn-{self.name}{_SUFFIX}"

    @property
    def folder(self) -> Path:
        """State of this run of the cluster: gone when it is down."""
        return state_folder() / self.name

    @property
    def images(self) -> Path:
        """containerd's unpacked images, which outlive the cluster."""
        return cache_folder() / "containerd" / f"{self.name}{_SUFFIX}"

    @property
    def kubeconfig(self) -> Path:
        return state_folder() / f"{self.name}.kubeconfig"


EAST = Site(
    name="east",
    wan=f"{_PREFIX}.0.11",
    management=f"{_PREFIX}.1.2",
    gateway=f"{_PREFIX}.1.1",
    pods=f"{_PREFIX}.16.0/20",
    services=f"{_PREFIX}.32.0/20",
    first_service=f"{_PREFIX}.32.1",
    dns=f"{_PREFIX}.64.10",
)
WEST = Site(
    name="west",
    wan=f"{_PREFIX}.0.12",
    management=f"{_PREFIX}.2.2",
    gateway=f"{_PREFIX}.2.1",
    pods=f"{_PREFIX}.80.0/20",
    services=f"{_PREFIX}.96.0/20",
    first_service=f"{_PREFIX}.96.1",
    dns=f"{_PREFIX}.112.10",
)
SITES = (EAST, WEST)


def repository() -> Path:
    """The root folder of the checkout."""
    return Path(__file__).parents[3]


def cache_folder() -> Path:
    """What is slow to make and may be removed at any time while the clusters are down."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def state_folder() -> Path:
    """What belongs to the clusters that run now."""
    return _xdg("XDG_STATE_HOME", ".local/state") / f"clusters{_SUFFIX}"


def _xdg(variable: str, default: str) -> Path:
    # The standard says that a relative path is to be ignored.
    given = Path(os.environ.get(variable, ""))
    return (given if given.is_absolute() else Path.home() / default) / "sojourn"
