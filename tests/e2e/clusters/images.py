"""The project's images, built from its Dockerfile and pushed to the clusters' registry when their inputs changed."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from e2e.clusters import processes, registry
from e2e.clusters.base_image import authorities, base_image, buildah_environment
from e2e.clusters.commands import run
from e2e.clusters.layout import REGISTRY_NAME, SITES, cache_folder, repository

TARGETS = ("operator", "mover", "trainer", "serving")
# What the Dockerfile copies, and itself.
INPUTS = (
    "Dockerfile",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "core",
    "operator",
    "trainer",
    "serving",
    "requirements",
)


def push_images(targets: Iterable[str] = TARGETS) -> Mapping[str, str]:
    """Build and push what the registry lacks; the reference that a pod's spec takes, by target.

    The tag is the digest of the inputs, so a reference never changes its meaning.

    Raises:
        ClusterError: a build or a push failed.
    """
    with _one_at_a_time(), _snapshot() as sources:
        base = base_image()
        tag = digest(sources, base)
        for target in targets:
            if not registry.holds(f"sojourn/{target}", tag):
                _build(sources, base, target, tag)
    return {target: f"{REGISTRY_NAME}/sojourn/{target}:{tag}" for target in targets}


def digest(sources: Path, base: str) -> str:
    """Twelve hexadecimal digits for the names and contents of all inputs."""
    total = hashlib.sha256(base.encode())
    for file in sorted(path for path in sources.rglob("*") if path.is_file()):
        content = file.read_bytes()
        total.update(f"\0{file.relative_to(sources)}\0{file.stat().st_mode:o}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()[:12]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    # Whoever comes second finds the images of the first, and the registry still there.
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = registry.start()
        try:
            yield
        finally:
            # The clusters may have come up meanwhile, and need it.
            if started and not any(processes.with_argument(site.marker) for site in SITES):
                registry.stop()


@contextmanager
def _snapshot() -> Iterator[Path]:
    # A file that is edited while an image is built must not end up below the digest of what it was before.
    with tempfile.TemporaryDirectory(prefix="sojourn-image-") as name:
        folder = Path(name)
        for part in INPUTS:
            source = repository() / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / part)
        yield folder


def _build(sources: Path, base: str, target: str, tag: str) -> None:
    local = f"localhost/sojourn-test-{target}:{tag}"
    options = ["--isolation=chroot", "--network=host", "--layers", "--pull-never", f"--build-arg=BASE_IMAGE={base}"]
    environment = buildah_environment()
    options += [*authorities(), f"--target={target}", f"--tag={local}"]
    run("nice", "-n", "5", "buildah", "build", *options, sources, env=environment, timeout=3600)
    # Compressing takes longer than the link to the nodes, which is memory.
    place = f"docker://{registry.ADDRESS}/sojourn/{target}:{tag}"
    run("buildah", "push", "--quiet", "--tls-verify=false", local, place, env=environment)
