"""What every ClusterPort must do, for tests that bring one: in memory, or on a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from sojourn_operator.resources import ALL, CONFIG_MAPS, SECRETS
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.objects import Object, Resource, owner_reference
from sojourn_operator.runtime.port import AlreadyExists, Change, ClusterPort, Conflict, Invalid, Missing

GADGETS = Resource("contract.sojourn.dev", "v1", "gadgets", "Gadget")
RESOURCES = (*ALL, GADGETS)
FINALIZER = "sojourn.dev/contract"


def config_map(namespace: str, name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    """The simplest object there is."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": data or {},
    }


def gadget(namespace: str, name: str, **metadata: Any) -> dict[str, Any]:
    """An object with a spec and a status subresource."""
    return {
        "apiVersion": GADGETS.api_version,
        "kind": "Gadget",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"size": 1},
    }


def gadget_definition() -> dict[str, Any]:
    """The CustomResourceDefinition of gadgets."""
    part = {"type": "object", "properties": {"size": {"type": "integer"}, "note": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": part, "status": part}}
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{GADGETS.group}"},
        "spec": {"group": GADGETS.group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


class PortContract:
    """Subclasses give the fixtures `port` and `namespace`, an existing one without objects of these kinds."""

    def test_what_was_created_can_be_read(self, port: ClusterPort, namespace: str) -> None:
        made = port.create(config_map(namespace, "one", {"a": "1"}))
        assert port.get(CONFIG_MAPS, namespace, "one") == made
        assert made["metadata"]["uid"]
        assert made["metadata"]["resourceVersion"]
        assert made["metadata"]["creationTimestamp"]
        assert port.get(CONFIG_MAPS, namespace, "two") is None

    def test_a_name_is_taken_once(self, port: ClusterPort, namespace: str) -> None:
        port.create(config_map(namespace, "one"))
        with pytest.raises(AlreadyExists):
            port.create(config_map(namespace, "one"))

    def test_whether_a_name_is_free_is_found_out_without_making_anything(
        self, port: ClusterPort, namespace: str
    ) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": namespace}}
        assert port.name_is_free(secret)
        assert port.name_is_free(secret)
        assert port.get(SECRETS, namespace, "keys") is None
        port.create(secret)
        assert not port.name_is_free(secret)

    def test_nothing_is_made_in_a_namespace_that_is_not_there(self, port: ClusterPort) -> None:
        with pytest.raises(Missing):
            port.create(config_map("nowhere-at-all", "one"))

    def test_what_is_not_there_cannot_be_patched(self, port: ClusterPort, namespace: str) -> None:
        with pytest.raises(Missing):
            port.patch(CONFIG_MAPS, namespace, "one", {"data": {"a": "1"}})

    def test_a_patch_merges_and_null_removes(self, port: ClusterPort, namespace: str) -> None:
        port.create(config_map(namespace, "one", {"a": "1", "b": "2"}))
        patched = port.patch(CONFIG_MAPS, namespace, "one", {"data": {"a": None, "c": "3"}})
        assert patched["data"] == {"b": "2", "c": "3"}

    def test_a_patch_of_an_old_version_is_refused(self, port: ClusterPort, namespace: str) -> None:
        first = port.create(config_map(namespace, "one"))
        port.patch(CONFIG_MAPS, namespace, "one", {"data": {"a": "1"}})
        version = {"resourceVersion": first["metadata"]["resourceVersion"]}
        with pytest.raises(Conflict):
            port.patch(CONFIG_MAPS, namespace, "one", {"metadata": version, "data": {"a": "2"}})

    def test_a_patch_that_changes_nothing_makes_no_version(self, port: ClusterPort, namespace: str) -> None:
        made = port.create(config_map(namespace, "one", {"a": "1"}))
        again = port.patch(CONFIG_MAPS, namespace, "one", {"data": {"a": "1"}})
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

    def test_generation_counts_changes_of_the_spec_alone(self, port: ClusterPort, namespace: str) -> None:
        made = port.create(gadget(namespace, "one"))
        assert made["metadata"]["generation"] == 1
        labelled = port.patch(GADGETS, namespace, "one", {"metadata": {"labels": {"a": "b"}}})
        assert labelled["metadata"]["generation"] == 1
        told = port.patch_status(GADGETS, namespace, "one", {"status": {"size": 1}})
        assert told["metadata"]["generation"] == 1
        grown = port.patch(GADGETS, namespace, "one", {"spec": {"size": 2}})
        assert grown["metadata"]["generation"] == 2

    def test_spec_and_status_are_written_apart(self, port: ClusterPort, namespace: str) -> None:
        made = port.create({**gadget(namespace, "one"), "status": {"size": 9}})
        assert "status" not in made
        port.patch_status(GADGETS, namespace, "one", {"status": {"size": 3}, "spec": {"size": 3}})
        port.patch(GADGETS, namespace, "one", {"status": {"size": 4}, "spec": {"note": "x"}})
        found = port.get(GADGETS, namespace, "one")
        assert found is not None
        assert (found["spec"], found["status"]) == ({"size": 1, "note": "x"}, {"size": 3})

    def test_a_status_of_an_old_version_is_refused(self, port: ClusterPort, namespace: str) -> None:
        made = port.create(gadget(namespace, "one"))
        port.patch_status(GADGETS, namespace, "one", {"status": {"size": 1}})
        patch = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": {"size": 2}}
        with pytest.raises(Conflict):
            port.patch_status(GADGETS, namespace, "one", patch)

    def test_apply_makes_changes_and_drops_only_its_own_fields(self, port: ClusterPort, namespace: str) -> None:
        port.apply(config_map(namespace, "one", {"a": "1", "b": "1"}, labels={"mine": "yes"}))
        port.patch(CONFIG_MAPS, namespace, "one", {"data": {"theirs": "1"}})
        applied = port.apply(config_map(namespace, "one", {"a": "2"}))
        assert applied["data"] == {"a": "2", "theirs": "1"}
        assert not applied["metadata"].get("labels")

    def test_applying_the_same_again_makes_no_version(self, port: ClusterPort, namespace: str) -> None:
        first = port.apply(config_map(namespace, "one", {"a": "1"}))
        second = port.apply(config_map(namespace, "one", {"a": "1"}))
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_a_list_is_of_a_namespace_and_a_selector(self, port: ClusterPort, namespace: str) -> None:
        port.create(config_map(namespace, "one", labels={"color": "red", "size": "big"}))
        port.create(config_map(namespace, "two", labels={"color": "blue"}))
        port.create(config_map(namespace, "three"))
        for selector, names in {
            "color": ["one", "two"],
            "color=red": ["one"],
            "color=red,size!=small": ["one"],
            "color in (red, green),size": ["one"],
            "color,color notin (red)": ["two"],
            "color,!size": ["two"],
        }.items():
            items = port.list(CONFIG_MAPS, namespace, selector).items
            assert [obj["metadata"]["name"] for obj in items] == names, selector
            assert all(obj["kind"] == "ConfigMap" and obj["apiVersion"] == "v1" for obj in items)
        everywhere = {obj["metadata"]["namespace"] for obj in port.list(CONFIG_MAPS).items}
        assert namespace in everywhere

    def test_deletion_ends_an_object_and_forgives_its_absence(self, port: ClusterPort, namespace: str) -> None:
        port.create(config_map(namespace, "one"))
        port.delete(CONFIG_MAPS, namespace, "one")
        assert port.get(CONFIG_MAPS, namespace, "one") is None
        port.delete(CONFIG_MAPS, namespace, "one")

    def test_deletion_by_uid_spares_a_successor(self, port: ClusterPort, namespace: str) -> None:
        old = port.create(config_map(namespace, "one"))
        port.delete(CONFIG_MAPS, namespace, "one", uid=old["metadata"]["uid"])
        new = port.create(config_map(namespace, "one"))
        port.delete(CONFIG_MAPS, namespace, "one", uid=old["metadata"]["uid"])
        assert port.get(CONFIG_MAPS, namespace, "one") == new

    def test_a_finalizer_holds_an_object_until_it_is_gone(self, port: ClusterPort, namespace: str) -> None:
        port.create(gadget(namespace, "one", finalizers=[FINALIZER]))
        port.delete(GADGETS, namespace, "one")
        held = port.get(GADGETS, namespace, "one")
        assert held is not None
        assert held["metadata"]["deletionTimestamp"]
        with pytest.raises(Invalid):
            port.patch(GADGETS, namespace, "one", {"metadata": {"finalizers": [FINALIZER, "sojourn.dev/another"]}})
        port.patch(GADGETS, namespace, "one", {"metadata": {"finalizers": None}})
        assert port.get(GADGETS, namespace, "one") is None

    def test_a_watch_tells_what_happened_since(self, port: ClusterPort, namespace: str) -> None:
        version = port.list(CONFIG_MAPS, namespace).resource_version
        port.create(config_map(namespace, "one"))
        port.patch(CONFIG_MAPS, namespace, "one", {"data": {"a": "1"}})
        port.delete(CONFIG_MAPS, namespace, "one")
        changes = self.changes(port, namespace, version, count=3)
        assert [change.type for change in changes] == ["ADDED", "MODIFIED", "DELETED"]
        later = self.changes(port, namespace, changes[0].object["metadata"]["resourceVersion"], count=2)
        assert [change.type for change in later] == ["MODIFIED", "DELETED"]

    def test_a_watch_with_a_selector_sees_objects_come_and_go_by_label(self, port: ClusterPort, namespace: str) -> None:
        version = port.list(CONFIG_MAPS, namespace).resource_version
        port.create(config_map(namespace, "one"))
        port.patch(CONFIG_MAPS, namespace, "one", {"metadata": {"labels": {"color": "red"}}})
        port.patch(CONFIG_MAPS, namespace, "one", {"metadata": {"labels": {"color": None}}})
        changes = self.changes(port, namespace, version, count=2, labels="color=red")
        assert [change.type for change in changes] == ["ADDED", "DELETED"]

    def test_children_go_with_their_owner(self, port: ClusterPort, namespace: str) -> None:
        owner = port.create(gadget(namespace, "owner"))
        port.create(config_map(namespace, "child", ownerReferences=[owner_reference(owner)]))
        port.delete(GADGETS, namespace, "owner")
        self.eventually_gone(port, CONFIG_MAPS, namespace, "child")

    def test_in_the_foreground_an_owner_waits_for_its_children(self, port: ClusterPort, namespace: str) -> None:
        owner = port.create(gadget(namespace, "owner"))
        child = config_map(
            namespace, "child", ownerReferences=[owner_reference(owner)], finalizers=["sojourn.dev/contract"]
        )
        port.create(child)
        port.delete(GADGETS, namespace, "owner", propagation="Foreground")
        until(port, lambda: "deletionTimestamp" in self.metadata(port, CONFIG_MAPS, namespace, "child"))
        assert port.get(GADGETS, namespace, "owner") is not None
        port.patch(CONFIG_MAPS, namespace, "child", {"metadata": {"finalizers": None}})
        self.eventually_gone(port, GADGETS, namespace, "owner")

    def test_objects_may_be_made_of_what_was_read(self, port: ClusterPort, namespace: str) -> None:
        port.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "one", "namespace": namespace},
                "data": {"a": "MQ=="},
            }
        )
        found = port.get(SECRETS, namespace, "one")
        assert found is not None
        assert found["data"] == {"a": "MQ=="}

    def test_the_version_is_told(self, port: ClusterPort) -> None:
        assert port.version().startswith("v1.")

    def changes(self, port: ClusterPort, namespace: str, version: str, *, count: int, labels: str = "") -> list[Change]:
        """The next so many changes of ConfigMaps, without the bookmarks."""
        found: list[Change] = []
        for change in port.watch(CONFIG_MAPS, version, namespace, labels):
            if change.type != "BOOKMARK":
                found.append(change)
            if len(found) == count:
                break
        return found

    def metadata(self, port: ClusterPort, resource: Resource, namespace: str, name: str) -> Object:
        found = port.get(resource, namespace, name)
        return found["metadata"] if found is not None else {}

    def eventually_gone(self, port: ClusterPort, resource: Resource, namespace: str, name: str) -> None:
        until(port, lambda: port.get(resource, namespace, name) is None)


def until(port: ClusterPort, reached: Callable[[], bool]) -> None:
    """Let the cluster's own controllers work until something is so.

    The garbage collector looks for new kinds every 30 seconds only, and takes a while to watch them.
    """
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        if isinstance(port, MemoryCluster):
            port.collect_garbage()
        else:
            time.sleep(0.2)
