"""One mount, network, host name and process id namespace per cluster, held by one process.

When that process is killed, the kernel ends every process of the cluster and removes its mounts and links.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from e2e.clusters import processes
from e2e.clusters.commands import run, wait_until
from e2e.clusters.layout import Site

# Folders whose place is fixed in kubelet, containerd and the CNI plugins: two clusters would collide there.
PRIVATE_FOLDERS = ("/var/lib/kubelet", "/var/lib/cni", "/var/log")
# kubelet does not start without the kernel's log, which containers often lack or may not read. An empty one does: it
# is only searched for what the out-of-memory killer did. The rest of /dev is bound into a folder of the cluster's own,
# which then takes its place: the machine's /dev stays as it is.
EMPTY_KERNEL_LOG = r"""
if ! ( : < /dev/kmsg ) 2>/dev/null; then
  mkdir -p "$1/dev"
  mount -t tmpfs -o mode=755 tmpfs "$1/dev"
  for entry in /dev/*; do
    copy="$1$entry"
    if [ "$entry" = /dev/kmsg ]; then continue; fi
    if [ -L "$entry" ]; then cp -P "$entry" "$copy"; continue; fi
    if [ -d "$entry" ]; then mkdir "$copy"; else touch "$copy"; fi
    mount --rbind "$entry" "$copy"
  done
  ln -s null "$1/dev/kmsg"
  mount --move "$1/dev" /dev
fi
"""


def create(site: Site, pause: Path) -> int:
    """Make the namespaces and return the id, as this machine sees it, of their first process."""
    own = site.folder / "private"
    script = [EMPTY_KERNEL_LOG, "mount --make-rshared /"]
    for folder in PRIVATE_FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (own / folder[1:]).mkdir(parents=True, exist_ok=True)
        script.append(f'mount --bind "$1{folder}" {folder}')
    script += ["mount -t tmpfs -o mode=755 tmpfs /run", f"hostname {site.node}", 'exec "$2" "$0"']
    command = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    command += ["--propagation", "private", "sh", "-ec", "\n".join(script), site.marker, str(own), str(pause)]
    processes.start(command, site.folder / "log" / "namespaces.log")
    wait_until(lambda: first_process(site) is not None, f"the namespaces of {site.name} are made", seconds=10)
    pid = first_process(site)
    assert pid is not None
    return pid


def first_process(site: Site) -> int | None:
    """The first process of the cluster's namespaces once these are complete, or None."""
    for pid, argv in processes.with_argument(site.marker).items():
        if Path(argv[0]).name == "pause":
            return pid
    return None


def remove(site: Site) -> None:
    """End every process of the cluster; its namespaces go with them."""
    if (first := first_process(site)) is not None:
        # Its parent then collects it and ends too, so that no zombie holds the namespaces.
        processes.kill(first, site.marker)
        deadline = time.monotonic() + 5
        while processes.with_argument(site.marker) and time.monotonic() < deadline:
            time.sleep(0.02)
    processes.end(site.marker)


def inside(pid: int, *command: str | Path) -> list[str]:
    """The command line that runs a command in the namespaces of a process."""
    return ["nsenter", f"--target={pid}", "--mount", "--uts", "--net", "--pid", "--", *map(str, command)]


def run_in_network(pid: int, *command: str, stdin: str | None = None) -> str:
    """Run one of this machine's commands on the network of a cluster."""
    return run("nsenter", f"--target={pid}", "--net", "--", *command, stdin=stdin)


def start_daemon(pid: int, site: Site, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a daemon inside the cluster; it writes to <folder>/log/<name>.log."""
    return processes.start(inside(pid, *command), site.folder / "log" / f"{name}.log")
