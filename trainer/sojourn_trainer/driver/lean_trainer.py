"""Ray Train without those of its helpers that serve what we do not use: each is a process of over 100 MB.

Left out are the manager of Ray Data's datasets, the cleaner of placement groups (they end with the driver's job), and
the coordinator of autoscaling requests (placement groups ask an autoscaler by themselves). Ray's version is pinned.
"""

from __future__ import annotations

from typing import Any

from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

_UNUSED = (DatasetsCallback, PlacementGroupCleanerCallback)


class LeanTrainer(DataParallelTrainer):
    """A DataParallelTrainer with fewer processes."""

    def _create_default_callbacks(self) -> list[Any]:
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, _UNUSED)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        policy = _WithoutRequests(scaling_config=self.scaling_config)
        return super()._initialize_and_run_controller(**{**arguments, "scaling_policy": policy})


class _WithoutRequests(FixedScalingPolicy):
    def after_controller_start(self, train_run_context: Any) -> None:
        """Nobody is asked for resources."""

    def _maybe_send_resource_request(self) -> None:
        """Nobody is asked for resources."""
