"""Builds Kubernetes, etcd, CoreDNS and Helm from pinned Go modules, and the two small C programs.

A build is kept in the cache under the digest of everything it was made from, and appears there whole or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.clusters.commands import ClusterError, run
from e2e.clusters.layout import cache_folder
from e2e.clusters.needs import Unavailable

SOURCES = Path(__file__).parent / "binaries"
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly", "GOWORK": "off"}
C_FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
C_PROGRAMS = ("pause", "wan")


@dataclass(frozen=True, slots=True)
class GoModule:
    """A folder with a go.mod, the programs built in it, and the module whose version they carry."""

    folder: str
    programs: Mapping[str, str]
    module: str
    # Variables of the linker, {version} {major} {minor} filled in; unstamped, Kubernetes calls itself v0.0.0.
    stamps: Mapping[str, str] = field(default_factory=dict)


KUBERNETES_PROGRAMS = (
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
)
MODULES = (
    GoModule(
        folder="kubernetes",
        programs={
            **{name: f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_PROGRAMS},
            "etcd": "go.etcd.io/etcd/server/v3",
        },
        module="k8s.io/kubernetes",
        stamps={
            f"{package}.{name}": value
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
            for name, value in {
                "gitVersion": "{version}",
                "gitMajor": "{major}",
                "gitMinor": "{minor}",
                "gitTreeState": "clean",
            }.items()
        },
    ),
    GoModule(folder="coredns", programs={"coredns": "."}, module="github.com/coredns/coredns"),
    GoModule(
        folder="helm",
        programs={"helm": "helm.sh/helm/v4/cmd/helm"},
        module="helm.sh/helm/v4",
        stamps={"helm.sh/helm/v4/internal/version.version": "{version}"},
    ),
)


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs lie."""

    folders: Mapping[str, Path]

    def __getitem__(self, program: str) -> Path:
        return self.folders[program]


def build_programs() -> Programs:
    """Build whatever the cache lacks: half a second warm, several minutes cold.

    Raises:
        Unavailable: the modules cannot be fetched.
        ClusterError: a build failed.
    """
    places: dict[str, Path] = {}
    for module in MODULES:
        folder = _go(module)
        places |= {name: folder / name for name in module.programs}
    folder = _c()
    places |= {name: folder / name for name in C_PROGRAMS}
    return Programs(places)


def _go(module: GoModule) -> Path:
    source = SOURCES / module.folder
    version = run("go", "list", "-m", "-f", "{{.Version}}", module.module, cwd=source, env=GO_ENVIRONMENT).strip()
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = [
        f"-X={name}={value.format(version=version, major=major, minor=minor)}" for name, value in module.stamps.items()
    ]
    flags = " ".join(["-s", "-w", *stamps])
    digest = _digest(
        run("go", "version"),
        repr(sorted(GO_ENVIRONMENT.items())),
        flags,
        repr(sorted(module.programs.items())),
        *(file.read_text() for file in sorted(source.glob("*.*"))),
    )

    def make(folder: Path) -> None:
        try:
            run("go", "mod", "download", module.module, cwd=source, env=GO_ENVIRONMENT)
        except ClusterError as error:
            raise Unavailable(f"Go modules cannot be fetched: {error}") from error
        for name, package in module.programs.items():
            command = ("go", "build", "-ldflags", flags, "-o", folder / name, package)
            run("nice", "-n", "10", *command, cwd=source, env=GO_ENVIRONMENT, timeout=3600)

    return _cached(f"{module.folder}-{version}-{digest}", make)


def _c() -> Path:
    sources = {name: SOURCES.parent / f"{name}.c" for name in C_PROGRAMS}
    digest = _digest(run("gcc", "--version"), repr(C_FLAGS), *(file.read_text() for file in sources.values()))

    def make(folder: Path) -> None:
        for name, source in sources.items():
            run("gcc", *C_FLAGS, "-o", folder / name, source)

    return _cached(f"programs-{digest}", make)


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    target = cache_folder() / "bin" / name
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        try:
            make(partial)
            partial.chmod(0o755)
            # Somebody else may have finished first: theirs is as good.
            if not target.is_dir():
                partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _digest(*inputs: str) -> str:
    total = hashlib.sha256()
    for text in inputs:
        data = text.encode()
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()[:12]
