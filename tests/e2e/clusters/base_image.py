"""The image below the project's own: a minimal Debian with Python, made once from Debian's packages."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from e2e.clusters.commands import ClusterError, run
from e2e.clusters.layout import cache_folder
from e2e.clusters.needs import Unavailable

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
# As in the images that people would use, no manuals.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
# Where Debian keeps authorities that this machine's owner added.
OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def base_image() -> str:
    """The name of the base image in buildah's store; made if it is not there (40 s)."""
    digest = hashlib.sha256(repr((SUITE, PACKAGES, LEFT_OUT)).encode()).hexdigest()[:12]
    name = f"localhost/sojourn-test-base:{digest}"
    if run("buildah", "images", "--quiet", "--filter", f"reference={name}").strip():
        return name
    with tempfile.TemporaryDirectory(prefix="sojourn-base-") as folder:
        archive = Path(folder) / "base.tar"
        excludes = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        try:
            run("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", *excludes, SUITE, archive)
        except ClusterError as error:
            raise Unavailable(f"Debian's packages cannot be fetched: {error}") from error
        container = run("buildah", "from", "scratch", env=buildah_environment()).strip()
        try:
            run("buildah", "add", "--quiet", container, archive, "/")
            run("buildah", "config", "--cmd", "/bin/sh", container)
            run("buildah", "commit", "--quiet", container, name)
        finally:
            run("buildah", "rm", container)
    return name


def buildah_environment() -> dict[str, str]:
    """Settings with which buildah runs where limits cannot be raised."""
    file = cache_folder() / "buildah" / "containers.conf"
    _write(file, '[containers]\ndefault_ulimits = []\n[engine]\nruntime = "/usr/sbin/runc"\n')
    return {"CONTAINERS_CONF": str(file)}


def authorities() -> list[str]:
    """Options that let a build trust what this machine trusts, needed where its owner added an authority."""
    if not AUTHORITIES.exists() or not any(OWN_AUTHORITIES.glob("*.crt")):
        return []
    folder = cache_folder() / "buildah"
    _write(folder / "pip.conf", f"[global]\ncert = {AUTHORITIES}\n")
    _write(folder / "uv.toml", "system-certs = true\n")
    mounts = {AUTHORITIES: AUTHORITIES, folder / "pip.conf": "/etc/pip.conf", folder / "uv.toml": "/etc/uv/uv.toml"}
    return [f"--volume={source}:{target}:ro" for source, target in mounts.items()]


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
