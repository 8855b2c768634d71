"""A real API server, held to what reconcilers rely on (and the cluster in memory imitates)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from helpers.port_contract import GADGETS, PortContract, gadget, gadget_definition, until
from sojourn_operator.resources import CUSTOM_RESOURCE_DEFINITIONS
from sojourn_operator.runtime.api import ApiServer
from sojourn_operator.runtime.port import AlreadyExists, Invalid, Missing

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", autouse=True)
def gadgets(port: ApiServer) -> Iterator[None]:
    with suppress(AlreadyExists):
        port.create(gadget_definition())
    until(port, lambda: _is_served(port))
    yield
    port.delete(CUSTOM_RESOURCE_DEFINITIONS, "", gadget_definition()["metadata"]["name"])


class TestRealApiServer(PortContract):
    def test_a_field_that_the_schema_does_not_know_is_refused(self, port: ApiServer, namespace: str) -> None:
        with pytest.raises(Invalid, match="unknown field"):
            port.create({**gadget(namespace, "one"), "spec": {"size": 1, "sise": 2}})
        port.create(gadget(namespace, "one"))
        with pytest.raises(Invalid, match="unknown field"):
            port.patch_status(GADGETS, namespace, "one", {"status": {"sise": 1}})


def _is_served(port: ApiServer) -> bool:
    try:
        port.list(GADGETS)
    except Missing:
        return False
    return True
