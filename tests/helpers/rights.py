"""A port that refuses what the chart's roles do not allow, so that no controller gets used to more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sojourn_operator.rbac import Role
from sojourn_operator.resources import ACCESS_REVIEWS, ALL, ROLES
from sojourn_operator.runtime.objects import Object, Resource, Resources
from sojourn_operator.runtime.port import Change, ClusterPort, Forbidden, Page, Propagation

_KNOWN = Resources(ALL)
_BY_PLURAL = {(resource.group, resource.plural): resource for resource in ALL}


class HeldToRights:
    """Passes on what the roles allow, to another port.

    Args:
        roles: what may be done in every namespace and to the whole cluster.
        at_home: what may be done besides, in the namespace `home`.
    """

    def __init__(
        self, port: ClusterPort, roles: Sequence[Role], at_home: Sequence[Role] = (), home: str = "default"
    ) -> None:
        self._port = port
        self._roles = roles
        self._at_home = at_home
        self._home = home

    @property
    def name(self) -> str:
        return self._port.name

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        self._check("get", resource, namespace)
        return self._port.get(resource, namespace, name)

    def list(self, resource: Resource, namespace: str = "", labels: str = "") -> Page:
        self._check("list", resource, namespace)
        return self._port.list(resource, namespace, labels)

    def watch(
        self, resource: Resource, resource_version: str, namespace: str = "", labels: str = ""
    ) -> Iterator[Change]:
        self._check("watch", resource, namespace)
        return self._port.watch(resource, resource_version, namespace, labels)

    def create(self, obj: Object) -> Object:
        self._check_object("create", obj)
        return self._port.create(obj)

    def name_is_free(self, obj: Object) -> bool:
        self._check_object("create", obj)
        return self._port.name_is_free(obj)

    def apply(self, obj: Object) -> Object:
        # The API server asks for both, as an apply may do either.
        self._check_object("create", obj)
        self._check_object("patch", obj)
        return self._port.apply(obj)

    def patch(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        self._check("patch", resource, namespace)
        return self._port.patch(resource, namespace, name, patch)

    def patch_status(self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        self._check("patch", resource, namespace, "status")
        return self._port.patch_status(resource, namespace, name, patch)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        self._check("delete", resource, namespace)
        self._port.delete(resource, namespace, name, uid=uid, propagation=propagation)

    def version(self) -> str:
        return self._port.version()

    def _check_object(self, verb: str, obj: Object) -> None:
        resource = _KNOWN.of(obj)
        if resource == ACCESS_REVIEWS:
            return  # everybody may ask what he may do
        namespace = obj["metadata"].get("namespace", "")
        self._check(verb, resource, namespace)
        if resource == ROLES:
            self._check_grant(obj, namespace)

    def _check_grant(self, role: Object, namespace: str) -> None:
        """Nobody may give away more than he has."""
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for plural in rule["resources"]:
                    name, _, subresource = plural.partition("/")
                    for verb in rule["verbs"]:
                        self._check(verb, _BY_PLURAL[group, name], namespace, subresource)

    def _check(self, verb: str, resource: Resource, namespace: str, subresource: str = "") -> None:
        if resource == ACCESS_REVIEWS:
            return  # Everybody may ask what he may do.
        roles = [*self._roles, *(self._at_home if namespace == self._home else ())]
        if not any(role.allows(verb, resource, subresource) for role in roles):
            what = f"{resource.plural}/{subresource}" if subresource else resource.plural
            raise Forbidden(f"no role allows to {verb} {what} in namespace {namespace!r}: see sojourn_operator/rbac.py")
