"""How Ray Train forms a worker group: begin an attempt, tell each worker its place. Starts no TensorFlow.

Ray's own TensorFlow backend forces legacy Keras. BackendConfig is a developer API, so Ray's version is pinned.
"""

from __future__ import annotations

import socket
import uuid
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig

from sojourn_trainer.driver.actor import DriverHandle
from sojourn_trainer.strategies import Place
from sojourn_trainer.workers import mailbox
from sojourn_trainer.workers.assignment import Assignment


@dataclass
class SojournBackendConfig(BackendConfig):
    """Everything a worker group needs before it is known which run it trains.

    Attributes:
        name: of the job.
        devices: logical devices wanted on each machine.
        standby: whether to get ready, and then to wait for a run.
        coordinator: the coordinator's actor.
    """

    name: str
    devices: int | None
    standby: bool
    coordinator: Any

    @property
    def backend_cls(self) -> type[Backend]:
        return SojournBackend

    def to_dict(self) -> dict[str, Any]:
        return {"run": self.name}


class SojournBackend(Backend):
    """Called by Ray Train's controller at every start of the worker group."""

    def on_start(self, worker_group: Any, backend_config: SojournBackendConfig) -> None:
        """Raises whatever forbids another attempt; Ray Train then ends the run instead of trying again."""
        config, coordinator = backend_config, DriverHandle(backend_config.coordinator)
        if config.standby:
            worker_group.execute(_import_tensorflow)
            coordinator.stand_by()
        plan = coordinator.wait_for_plan()
        places = worker_group.execute(_reserve_address)
        attempt_id = str(uuid.uuid4())
        hosts = [address.rpartition(":")[0] for address in places]
        start = coordinator.begin_attempt(attempt_id, len(places), {"hosts": hosts})
        first = Assignment(
            run=plan.prepared.run,
            job=plan.job,
            job_folder=plan.prepared.job_folder,
            spec_digest=plan.prepared.spec_digest,
            attempt_id=attempt_id,
            term=start.term,
            place=Place(tuple(places), 0, config.devices),
            restore=start.restore,
        )
        ray.get(
            [
                worker_group.execute_single_async(
                    rank, mailbox.put, replace(first, place=replace(first.place, rank=rank))
                )
                for rank in range(len(places))
            ]
        )


def _import_tensorflow() -> None:
    """The longest part of a start that needs no run. No device is touched before the strategy is made."""
    import sojourn_trainer.loop.fit  # noqa: F401


def _reserve_address() -> str:
    """This node's address and a port that is free now, for TensorFlow's server."""
    node = ray.get_runtime_context().get_node_id()
    host = next(item["NodeManagerAddress"] for item in ray.nodes() if item["NodeID"] == node)
    with socket.socket() as listener:
        listener.bind((host, 0))
        return f"{host}:{listener.getsockname()[1]}"
