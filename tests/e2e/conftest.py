"""The clusters, images and folders of the end-to-end tests. Each is made when the first test asks for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.clusters import images as cluster_images
from e2e.clusters import needs, testbed
from e2e.clusters.access import Cluster, kubeconfig_from_environment
from e2e.clusters.layout import EAST, WEST
from e2e.clusters.network import Link
from e2e.clusters.programs import build_programs
from e2e.clusters.volumes import store_folder
from e2e.journeys import Place, two_places

# The first test waits for whatever is not cached yet.
TIMEOUT = 900
BROUGHT_ALONG = "the clusters were brought along by SOJOURN_E2E_EAST and SOJOURN_E2E_WEST"


@dataclass(frozen=True, slots=True)
class Clusters:
    """Both clusters, and the link between them if it is ours to shape."""

    east: Cluster
    west: Cluster
    link: Link | None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Both clusters, up. Those that this session started are down afterwards."""
    given = [kubeconfig_from_environment(name) for name in ("east", "west")]
    try:
        if any(given):
            yield _brought_along(*given)
            return
        with testbed.in_use():
            kubectl = build_programs()["kubectl"]
            yield Clusters(Cluster.of_site(EAST, kubectl), Cluster.of_site(WEST, kubectl), Link())
    except needs.Unavailable as error:
        pytest.skip(f"no test clusters: {error}")


@pytest.fixture(scope="session")
def east(clusters: Clusters) -> Cluster:
    """The cluster east."""
    return clusters.east


@pytest.fixture(scope="session")
def west(clusters: Clusters) -> Cluster:
    """The cluster west."""
    return clusters.west


@pytest.fixture
def link(clusters: Clusters) -> Iterator[Link]:
    """The WAN link between the clusters; whole and unshaped again after the test."""
    if clusters.link is None:
        pytest.skip(f"no link to shape: {BROUGHT_ALONG}")
    # A session that was killed may have left it cut.
    clusters.link.reset()
    yield clusters.link
    clusters.link.reset()


@pytest.fixture(scope="session")
def images(clusters: Clusters) -> Mapping[str, str]:
    """References of the project's images by target, as pods take them: `operator`, `mover`, `trainer`, `serving`.

    SOJOURN_E2E_IMAGES=registry.example/sojourn-{target}:1.0 names those that clusters brought along can pull.
    """
    if pattern := os.environ.get("SOJOURN_E2E_IMAGES"):
        return {target: pattern.format(target=target) for target in cluster_images.TARGETS}
    if clusters.link is None:
        pytest.skip(f"SOJOURN_E2E_IMAGES names no images, and {BROUGHT_ALONG}")
    return cluster_images.push_images()


@pytest.fixture
def folder(clusters: Clusters, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that pods of both clusters can mount and write (see volumes.claim)."""
    if clusters.link is None:
        pytest.skip(f"no folder of the nodes' to share: {BROUGHT_ALONG}")
    path = store_folder(f"{request.node.name}-{os.getpid()}")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def places(
    east: Cluster, west: Cluster, images: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, Place]]:
    """A namespace with a store and an operator on each cluster, which know each other; of the module's tests."""
    with two_places(east, west, images, tmp_path_factory.mktemp("operators")) as both:
        yield both


@pytest.fixture(scope="module")
def there(places: tuple[Place, Place]) -> Place:
    """West."""
    return places[1]


def _brought_along(east: Path | None, west: Path | None) -> Clusters:
    if east is None or west is None:
        pytest.fail("set both SOJOURN_E2E_EAST and SOJOURN_E2E_WEST, or neither")
    found = shutil.which("kubectl")
    kubectl = Path(found) if found else build_programs()["kubectl"]
    return Clusters(Cluster.brought_along("east", east, kubectl), Cluster.brought_along("west", west, kubectl), None)
