"""Two network namespaces and a link between them; all of it ends with the block.

Unshaped it is a pair of virtual cards. Shaped it is the program that the test clusters use (tests/e2e/clusters/wan.c),
which sets rate and delay where the kernel has no netem; loss is a rule of nftables at both ends.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from e2e.clusters.network import Link  # noqa: E402
from e2e.clusters.programs import C_FLAGS  # noqa: E402

CARD = "wan"
SOURCE, TARGET = "198.18.77.1", "198.18.77.2"
# As the movers' pods have them; the same for every side.
BUFFERS = {"tcp_rmem": "4096 131072 33554432", "tcp_wmem": "4096 65536 33554432"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a link does: Mbit/s (0: no limit), round trip in milliseconds, one frame in `loss` is lost (0: none)."""

    name: str
    mbit: int = 0
    trip_ms: int = 0
    loss: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """One end: the process whose network it is, and its address."""

    pid: int
    address: str

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line that runs a command there."""
        return ["nsenter", f"--target={self.pid}", "--net", "--", *map(str, arguments)]

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command there to its end."""
        done = subprocess.run(self.command(*arguments), input=stdin, check=True, text=True, stdout=subprocess.PIPE)
        return done.stdout


@contextmanager
def linked(shape: Shape, folder: Path) -> Iterator[tuple[Site, Site]]:
    """The source's and the target's end of a new link."""
    with ExitStack() as stack:
        source, target = (Site(_network(stack), address) for address in (SOURCE, TARGET))
        if shape.mbit or shape.trip_ms:
            _shaped(stack, shape, (source, target), folder)
        else:
            peer = ("peer", "name", CARD, "netns", str(target.pid))
            subprocess.run(["ip", "link", "add", CARD, "netns", str(source.pid), "type", "veth", *peer], check=True)
        for site in (source, target):
            site.run("ip", "link", "set", "lo", "up")
            site.run("ip", "address", "add", f"{site.address}/24", "dev", CARD)
            site.run("ip", "link", "set", CARD, "mtu", "1500", "up")
            site.run("sysctl", "-qw", *(f"net.ipv4.{name}={value}" for name, value in BUFFERS.items()))
            if shape.loss:
                site.run("nft", "-f", "-", stdin=_loss(shape.loss))
        yield source, target


def _network(stack: ExitStack) -> int:
    process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    stack.callback(process.wait)
    stack.callback(process.kill)
    mine = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{process.pid}/ns/net").readlink() == mine:
        assert process.poll() is None, "unshare --net needs root"
        time.sleep(0.01)
    return process.pid


def _shaped(stack: ExitStack, shape: Shape, sites: tuple[Site, Site], folder: Path) -> None:
    program, settings = folder / "wan", folder / "wan.settings"
    if not program.exists():
        source = HERE.parent / "tests/e2e/clusters/wan.c"
        subprocess.run(["gcc", *C_FLAGS, str(source), "-o", str(program)], check=True)
    settings.write_bytes(bytes(64))
    Link(settings).shape(rate_mbit=shape.mbit, delay_ms=shape.trip_ms / 2)
    process = subprocess.Popen([str(program), *(str(site.pid) for site in sites), CARD, str(settings)])
    stack.callback(process.wait)
    stack.callback(process.kill)
    for site in sites:
        while f"{CARD}:" not in Path(f"/proc/{site.pid}/net/dev").read_text():
            assert process.poll() is None
            time.sleep(0.01)


def _loss(one_in: int) -> str:
    return f"""table ip loss {{
  chain input {{
    type filter hook input priority 0
    iifname "{CARD}" numgen random mod {one_in} 0 drop
  }}
}}
"""
