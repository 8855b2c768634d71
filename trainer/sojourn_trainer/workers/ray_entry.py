"""The function that Ray Train runs in every worker process."""

from __future__ import annotations

from typing import Any

from sojourn_trainer.driver.actor import WorkerHandle
from sojourn_trainer.workers import mailbox
from sojourn_trainer.workers.run import run_worker


def train_in_worker(config: dict[str, Any]) -> None:
    """Train as the mailbox says; `config["coordinator"]` is the coordinator's actor."""
    run_worker(mailbox.take(), WorkerHandle(config["coordinator"]))
