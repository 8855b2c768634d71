"""The API server takes our definitions, and refuses by them what the models refuse."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import CustomObjectsApi
from kubernetes.client.exceptions import ApiException

from e2e.clusters.access import Cluster
from e2e.definitions import install_definitions
from helpers.manifests import (
    ATTEMPT,
    ATTEMPT_UPDATES,
    BROKEN_ATTEMPTS,
    BROKEN_JOBS,
    BROKEN_OTHERS,
    BROKEN_STORES,
    CHECKPOINT,
    CLUSTER,
    JOB,
    JOB_UPDATES,
    MIGRATION,
    OTHER_UPDATES,
    SERVER,
    STORE,
    TRANSFER,
    changed,
)
from sojourn.api.crds import KINDS
from sojourn.api.meta import GROUP, VERSION

pytestmark = pytest.mark.e2e

EVERY_KIND = (JOB, ATTEMPT, STORE, CHECKPOINT, CLUSTER, TRANSFER, MIGRATION, SERVER)
BROKEN = [
    *((JOB, broken) for broken in BROKEN_JOBS),
    *((STORE, broken) for broken in BROKEN_STORES),
    *((ATTEMPT, broken) for broken in BROKEN_ATTEMPTS),
    *BROKEN_OTHERS,
]
UPDATES = [
    *((JOB, changes, field) for changes, field in JOB_UPDATES),
    *((ATTEMPT, changes, field) for changes, field in ATTEMPT_UPDATES),
    *OTHER_UPDATES,
]
EXAMPLES = sorted((Path(__file__).parents[2] / "manifests/examples").rglob("*.yaml"))
OPTIONS = {"dry_run": "All", "field_validation": "Strict"}


class Objects:
    """Our kinds in one namespace, each written for trial only unless `keep` is asked for."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._api = CustomObjectsApi(cluster.api)
        self._namespace = namespace
        self._kinds = {kind.name: kind for kind in KINDS}

    def create(self, obj: dict[str, Any], *, keep: bool = False) -> dict[str, Any]:
        options = {} if keep else OPTIONS
        kind = self._kinds[obj["kind"]]
        body = copy.deepcopy(obj)
        if not kind.namespaced:
            body["metadata"]["name"] = f"{self._namespace}-{obj['metadata']['name']}"[:40]
            made = self._api.create_cluster_custom_object(GROUP, VERSION, kind.plural, body, **options)
        else:
            place = (GROUP, VERSION, self._namespace, kind.plural)
            made = self._api.create_namespaced_custom_object(*place, body, **options)
        assert isinstance(made, dict)
        return made

    def replace(self, name: str, obj: dict[str, Any]) -> None:
        """Replace an object by another spec, based on what it is now: an operator may be at work here."""
        kind = self._kinds[obj["kind"]]
        if kind.namespaced:
            place = (GROUP, VERSION, self._namespace, kind.plural, name)
            metadata = self._api.get_namespaced_custom_object(*place)["metadata"]
            self._api.replace_namespaced_custom_object(*place, {**obj, "metadata": metadata}, **OPTIONS)
        else:
            wide = (GROUP, VERSION, kind.plural, name)
            metadata = self._api.get_cluster_custom_object(*wide)["metadata"]
            self._api.replace_cluster_custom_object(*wide, {**obj, "metadata": metadata}, **OPTIONS)

    def delete_cluster_wide(self, obj: dict[str, Any]) -> None:
        kind = self._kinds[obj["kind"]]
        if not kind.namespaced:
            self._api.delete_cluster_custom_object(GROUP, VERSION, kind.plural, obj["metadata"]["name"])


@pytest.fixture(scope="module")
def namespace(east: Cluster, repository: Path) -> Iterator[str]:
    """A namespace on a cluster with our definitions."""
    install_definitions(east)
    with east.namespace("definitions") as name:
        yield name


@pytest.fixture(scope="module")
def empty_namespace(east: Cluster, namespace: str) -> Iterator[str]:
    """Another one, without the objects of the other tests."""
    with east.namespace("examples") as name:
        yield name


@pytest.fixture(scope="module")
def objects(east: Cluster, namespace: str) -> Objects:
    return Objects(east, namespace)


@pytest.fixture(scope="module")
def originals(objects: Objects) -> Iterator[dict[str, dict[str, Any]]]:
    """One kept object of each kind, by kind; suspended, so that an operator that may run here does nothing."""
    kept = {
        manifest["kind"]: objects.create(
            changed(manifest, {"spec.suspend": True}) if manifest is JOB else manifest, keep=True
        )
        for manifest in EVERY_KIND
    }
    yield kept
    for obj in kept.values():
        objects.delete_cluster_wide(obj)


def refusal(error: ApiException) -> str:
    assert error.status == 422 or (error.status == 400 and "strict decoding" in error.body), error
    return str(error.body)


def test_no_definition_violates_a_rule(east: Cluster, objects: Objects) -> None:
    for kind in KINDS:
        definition = east.get("crd", f"{kind.plural}.{GROUP}")
        conditions = {one["type"]: one["status"] for one in definition["status"]["conditions"]}
        assert conditions.get("Established") == "True"
        assert conditions.get("NonStructuralSchema", "False") == "False", conditions


@pytest.mark.parametrize("manifest", EVERY_KIND, ids=lambda manifest: manifest["kind"])
def test_a_valid_manifest_is_taken(objects: Objects, manifest: dict[str, Any]) -> None:
    objects.create(manifest)


@pytest.mark.parametrize(("manifest", "broken"), BROKEN, ids=lambda it: str(it) if not isinstance(it, dict) else "")
def test_a_broken_manifest_is_refused(objects: Objects, manifest: dict[str, Any], broken: Any) -> None:
    wrong = changed(manifest, broken.changes)
    with pytest.raises(ApiException) as refused:
        objects.create(wrong)
    assert refusal(refused.value)


@pytest.mark.parametrize(("manifest", "changes", "field"), UPDATES, ids=str)
def test_updates_are_held_to_what_may_change(
    objects: Objects,
    originals: dict[str, dict[str, Any]],
    manifest: dict[str, Any],
    changes: dict[str, Any],
    field: str,
) -> None:
    name = originals[manifest["kind"]]["metadata"]["name"]
    if not field:
        objects.replace(name, changed(manifest, changes))
        return
    with pytest.raises(ApiException) as refused:
        objects.replace(name, changed(manifest, changes))
    assert field in refusal(refused.value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_accepted(east: Cluster, empty_namespace: str, path: Path) -> None:
    """As `kubectl apply` sends them, and to be forgotten."""
    options = ("--server-side", "--dry-run=server", "--validate=strict", f"--namespace={empty_namespace}")
    assert "serverside-applied (server dry run)" in east.kubectl("apply", *options, "-f", path)
