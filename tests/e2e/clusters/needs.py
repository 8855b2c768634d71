"""What a machine must have for the test clusters, and saying what it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from e2e.clusters.cgroups import CONTROLLERS, ROOT
from e2e.clusters.commands import ClusterError

GO = (1, 26)
# requirements/system.txt names the packages.
COMMANDS = (
    "/usr/lib/cni/bridge",
    "buildah",
    "containerd",
    "docker-registry",
    "gcc",
    "ip",
    "mmdebstrap",
    "nft",
    "nsenter",
    "runc",
    "sysctl",
    "unshare",
)


class Unavailable(ClusterError):
    """This machine cannot run the test clusters; the message says what it lacks. Tests skip."""


def check() -> None:
    """Return if this machine can run the test clusters.

    Raises:
        Unavailable: it lacks something; all that is known is in the message.
    """
    lacking = []
    if os.geteuid() != 0:
        lacking.append("root")
    elif shutil.which("unshare") and (error := _namespaces()):
        raise Unavailable(f"namespaces cannot be made here: {error}")
    if not shutil.which("go"):
        lacking.append("Go")
    elif (found := _go()) < GO:
        lacking.append(f"Go {GO[0]}.{GO[1]} or later (found {found[0]}.{found[1]})")
    if commands := [command for command in COMMANDS if not shutil.which(command)]:
        lacking.append(f"{' '.join(commands)} (make setup-system)")
    if not Path("/dev/net/tun").exists():
        lacking.append("/dev/net/tun")
    if hierarchies := [name for name in CONTROLLERS if not (ROOT / name).is_dir()]:
        lacking.append(f"the hierarchies of cgroup version 1 ({' '.join(hierarchies)})")
    if lacking:
        raise Unavailable(f"this machine lacks {', '.join(lacking)}")


def _namespaces() -> str:
    command = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def _go() -> tuple[int, int]:
    text = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"go(\d+)\.(\d+)", text)
    return (int(version[1]), int(version[2])) if version else (0, 0)
