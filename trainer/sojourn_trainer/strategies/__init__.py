"""The distribution strategies a job can name, by their manifest names."""

from __future__ import annotations

from sojourn_trainer.strategies.base import Place, WorkerStrategy
from sojourn_trainer.strategies.default import Default
from sojourn_trainer.strategies.mirrored import Mirrored
from sojourn_trainer.strategies.multi_worker import MultiWorkerMirrored
from sojourn_trainer.strategies.tpu import Tpu

STRATEGIES: dict[str, WorkerStrategy] = {
    "Default": Default(),
    "MirroredStrategy": Mirrored(),
    "MultiWorkerMirroredStrategy": MultiWorkerMirrored(),
    "TPUStrategy": Tpu(),
}

__all__ = ["STRATEGIES", "Place", "WorkerStrategy"]
