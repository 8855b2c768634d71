"""Addresses, routes and the WAN link of the test clusters."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from e2e.clusters import processes
from e2e.clusters.commands import run, wait_until
from e2e.clusters.layout import EAST, RANGE, REGISTRY_ADDRESS, WEST, Site, state_folder
from e2e.clusters.namespaces import run_in_network

INTERFACE = "wan"


def connect_to_machine(site: Site, pid: int) -> None:
    """Give a cluster its management link to this machine, which is never shaped."""
    run("ip", "link", "add", site.management_link, "type", "veth", "peer", "name", "mgmt", "netns", str(pid))
    run("ip", "address", "add", f"{site.gateway}/24", "dev", site.management_link)
    run("ip", "link", "set", site.management_link, "up")
    run("ip", "route", "replace", f"{site.wan}/32", "via", site.management)
    commands = [
        "link set lo up",
        f"address add {site.dns}/32 dev lo",
        f"address add {site.management}/24 dev mgmt",
        "link set mgmt up",
        f"route add {REGISTRY_ADDRESS}/32 via {site.gateway}",
    ]
    run_in_network(pid, "ip", "-batch", "-", stdin="\n".join(commands))
    run_in_network(pid, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0")
    # A pod that leaves the cluster takes the node's address.
    run_in_network(
        pid,
        "nft",
        "-f",
        "-",
        stdin=f"""table ip sojourn {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {site.pods} oifname {{ "{INTERFACE}", "mgmt" }} masquerade
  }}
}}
""",
    )


def open_range() -> None:
    """Keep packets to unused test addresses on this machine, and make the registry's address."""
    run("ip", "route", "replace", "unreachable", RANGE, "metric", "4000")
    run("ip", "address", "replace", f"{REGISTRY_ADDRESS}/32", "dev", "lo")


def close_range() -> None:
    """Undo `open_range`, however much of it was done."""
    if RANGE in run("ip", "route", "show", "type", "unreachable"):
        run("ip", "route", "del", "unreachable", RANGE, "metric", "4000")
    if f" {REGISTRY_ADDRESS}/32 " in run("ip", "-oneline", "address", "show", "dev", "lo"):
        run("ip", "address", "del", f"{REGISTRY_ADDRESS}/32", "dev", "lo")


@dataclass(frozen=True, slots=True)
class LinkState:
    """What the link does now. Bytes are those delivered since it was made."""

    rate_mbit: int
    delay_ms: float
    down: bool
    bytes_to_west: int
    bytes_to_east: int
    dropped: int


class Link:
    """The WAN link between east and west. Every change holds at once, in both directions."""

    # delay_us, rate_mbit, down, reserved; bytes and dropped frames, each there and back: see wan.c.
    _FORMAT = struct.Struct("=8Q")

    def __init__(self, settings: Path | None = None) -> None:
        self._settings = settings or state_folder() / "wan"

    @property
    def marker(self) -> str:
        return str(self._settings)

    def start(self, program: Path, east: int, west: int) -> None:
        """Join the networks of two processes, unshaped."""
        self._settings.write_bytes(bytes(self._FORMAT.size))
        command = [str(program), str(east), str(west), INTERFACE, str(self._settings)]
        process = processes.start(command, self._settings.with_suffix(".log"))
        for site, pid in ((EAST, east), (WEST, west)):
            wait_until(partial(_has_link, pid), "the WAN link is made", seconds=5, pause=0.02)
            commands = [f"address add {site.wan}/24 dev {INTERFACE}", f"link set {INTERFACE} mtu 1500 up"]
            run_in_network(pid, "ip", "-batch", "-", stdin="\n".join(commands))
        assert process.poll() is None

    def shape(self, *, rate_mbit: int = 0, delay_ms: float = 0) -> None:
        """Limit the rate in each direction (0: no limit) and set the one-way delay."""
        self._write(0, int(delay_ms * 1000))
        self._write(1, rate_mbit)

    def cut(self) -> None:
        """Lose every frame from now on, those under way included; nobody is told."""
        self._write(2, 1)

    def heal(self) -> None:
        """End a cut."""
        self._write(2, 0)

    def reset(self) -> None:
        """Make it whole and unshaped."""
        self.heal()
        self.shape()

    def state(self) -> LinkState:
        delay, rate, down, _, there, back, lost, lost_back = self._FORMAT.unpack(self._settings.read_bytes())
        return LinkState(
            rate_mbit=rate,
            delay_ms=delay / 1000,
            down=bool(down),
            bytes_to_west=there,
            bytes_to_east=back,
            dropped=lost + lost_back,
        )

    def _write(self, index: int, value: int) -> None:
        with self._settings.open("r+b") as file, mmap.mmap(file.fileno(), self._FORMAT.size) as shared:
            struct.pack_into("=Q", shared, 8 * index, value)


def _has_link(pid: int) -> bool:
    return f"{INTERFACE}:" in Path(f"/proc/{pid}/net/dev").read_text()
