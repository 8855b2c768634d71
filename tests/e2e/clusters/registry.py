"""A registry of images on this machine that the nodes of both clusters reach over their management links."""

from __future__ import annotations

import urllib.error
import urllib.request

import yaml

from e2e.clusters import processes
from e2e.clusters.commands import wait_until
from e2e.clusters.layout import REGISTRY_ADDRESS, REGISTRY_PORT, cache_folder, state_folder
from e2e.clusters.network import open_range

ADDRESS = f"{REGISTRY_ADDRESS}:{REGISTRY_PORT}"
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
# A proxy of this machine's must not be asked for the test range.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def start() -> bool:
    """Start the registry unless it runs. True if it was started here."""
    if processes.with_argument(_marker()):
        return False
    open_range()
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(cache_folder() / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": ADDRESS, "secret": "only this machine asks"},
        "log": {"level": "warn", "accesslog": {"disabled": True}},
    }
    state_folder().mkdir(parents=True, exist_ok=True)
    file = state_folder() / "registry.yaml"
    file.write_text(yaml.safe_dump(settings))
    processes.start(["docker-registry", "serve", _marker()], state_folder() / "registry.log")
    wait_until(_answers, f"the registry answers (see {state_folder() / 'registry.log'})", seconds=15)
    return True


def stop() -> None:
    """End the registry; its images stay in the cache."""
    processes.end(_marker())


def runs() -> bool:
    return bool(processes.with_argument(_marker()))


def holds(repository: str, tag: str) -> bool:
    """True if the registry has this image."""
    return _get(f"/v2/{repository}/manifests/{tag}", method="HEAD") == 200


def _marker() -> str:
    return str(state_folder() / "registry.yaml")


def _answers() -> bool:
    try:
        return _get("/v2/") == 200
    except urllib.error.URLError:
        return False


def _get(path: str, method: str = "GET") -> int:
    request = urllib.request.Request(
        f"http://{ADDRESS}{path}", method=method, headers={"Accept": ", ".join(_MANIFESTS)}
    )
    try:
        with _OPENER.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return 404
        raise
