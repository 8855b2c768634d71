"""One Ray head for all tests of this folder, because it takes long to start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sojourn.api import TrainingJob
from sojourn_trainer.node.ray_node import RayNode
from sojourn_trainer.node.ray_plans import local_head
from sojourn_trainer.settings import TrainerSettings

sys.path.insert(0, str(Path(__file__).parent))

from node import TASKS, Node, manifest


@pytest.fixture(scope="session")
def ray_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNode]:
    """A running head with its dashboard."""
    folder = tmp_path_factory.mktemp("ray")
    with pytest.MonkeyPatch.context() as patch:
        # Ray's workers inherit the environment of the head; the test tasks must be importable there.
        patch.setenv("PYTHONPATH", str(TASKS))
        head = local_head(TrainingJob.model_validate(manifest()), TrainerSettings(folder, folder, dashboard=True))
        try:
            head.start()
            yield head
        finally:
            head.stop()


@pytest.fixture
def start_node(tmp_path: Path, ray_head: RayNode) -> Iterator[Callable[..., Node]]:
    """Start nodes on the shared head; what is left of them ends with the test."""
    nodes: list[Node] = []

    def start(job: Mapping[str, Any], environment: Mapping[str, str] | None = None, *arguments: str) -> Node:
        settings = {**ray_head.plan.environment, **(environment or {})}
        nodes.append(Node(tmp_path, job, settings, "--ray-address", ray_head.plan.address, *arguments))
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()
