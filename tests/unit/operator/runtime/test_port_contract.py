"""The cluster in memory, held to what a real API server does (tests/e2e/test_port_contract_real.py)."""

from __future__ import annotations

import pytest

from helpers.operator import FakeClock
from helpers.port_contract import RESOURCES, PortContract, config_map
from sojourn_operator.resources import CONFIG_MAPS, NAMESPACES
from sojourn_operator.runtime.memory import MemoryCluster
from sojourn_operator.runtime.port import Expired, Missing


class TestMemoryCluster(PortContract):
    @pytest.fixture
    def namespace(self) -> str:
        return "default"

    @pytest.fixture
    def port(self) -> MemoryCluster:
        return MemoryCluster(RESOURCES, FakeClock())

    def test_a_watch_from_before_a_compaction_is_expired(self, port: MemoryCluster) -> None:
        version = port.list(CONFIG_MAPS).resource_version
        port.create(config_map("default", "one"))
        port.compact()
        with pytest.raises(Expired):
            list(port.watch(CONFIG_MAPS, version))

    def test_a_namespace_that_goes_takes_its_objects_along_and_accepts_no_more(self, port: MemoryCluster) -> None:
        port.create(config_map("default", "one", finalizers=["sojourn.dev/contract"]))
        port.delete(NAMESPACES, "", "default")
        port.collect_garbage()
        with pytest.raises(Missing):
            port.create(config_map("default", "two"))
        port.patch(CONFIG_MAPS, "default", "one", {"metadata": {"finalizers": None}})
        port.collect_garbage()
        assert port.get(NAMESPACES, "", "default") is None
