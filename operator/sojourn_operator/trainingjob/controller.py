"""The controller of TrainingJobs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Final, get_args

from sojourn.api.status import Phase
from sojourn_operator.context import Context
from sojourn_operator.engines.names import MANAGED
from sojourn_operator.resources import CHECKPOINT_STORES, TRAINING_ATTEMPTS, TRAINING_JOBS
from sojourn_operator.runtime.actions import perform
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object, key_of
from sojourn_operator.runtime.phases import ObjectsByPhase
from sojourn_operator.runtime.watching import itself, owners
from sojourn_operator.settings import Settings
from sojourn_operator.trainingjob.arrival import look_up
from sojourn_operator.trainingjob.frozen import ImageDefaults
from sojourn_operator.trainingjob.observe import CHILDREN, observe
from sojourn_operator.trainingjob.plan import plan_job


class TrainingJobController:
    """Makes attempts, one at a time, and says how the job stands.

    Args:
        new_token: makes a Ray token nobody can guess.
    """

    name: Final = "trainingjob"

    def __init__(self, context: Context, new_token: Callable[[], str] = lambda: secrets.token_hex(32)) -> None:
        self._context = context
        self._defaults = image_defaults(context.settings)
        self._new_token = new_token
        jobs = ObjectsByPhase(context.cluster, TRAINING_JOBS, "sojourn_operator_training_jobs", get_args(Phase))
        context.registry.register(jobs)
        self.watches = (
            Watch(TRAINING_JOBS, itself),
            Watch(TRAINING_ATTEMPTS, owners("TrainingJob")),
            Watch(CHECKPOINT_STORES, self._users),
            *(Watch(resource, owners("TrainingJob"), labels=MANAGED) for resource in CHILDREN),
        )

    def reconcile(self, key: Key) -> float | None:
        """Bring the world nearer to what the job asks for."""
        cluster = self._context.cluster
        job = cluster.cached(TRAINING_JOBS).get(*key)
        if job is None:
            return None
        seen = observe(cluster, job, self._context.clock.now())
        checked = look_up(cluster.port, seen, self._defaults)
        return perform(plan_job(seen, self._defaults, self._new_token(), checked), cluster)

    def _users(self, store: Object) -> Iterable[Key]:
        """Jobs that name a CheckpointStore."""
        namespace, name = store["metadata"]["namespace"], store["metadata"]["name"]
        for job in self._context.cluster.cached(TRAINING_JOBS).list(namespace):
            named = (
                job["spec"].get("checkpoint", {}).get("store", {}),
                job["spec"].get("restoreFrom", {}).get("store", {}),
            )
            if any(reference.get("name") == name for reference in named):
                yield key_of(job)


def image_defaults(settings: Settings) -> ImageDefaults:
    """The part of the operator's settings that pods are made with."""
    names = (name.strip() for name in settings.image_pull_secrets.split(","))
    return ImageDefaults(settings.trainer_image, settings.image_pull_policy, tuple(name for name in names if name))
