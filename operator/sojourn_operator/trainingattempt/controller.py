"""The controller of TrainingAttempts."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from sojourn_operator.context import Context
from sojourn_operator.engines.names import ATTEMPT_LABEL, MANAGED
from sojourn_operator.resources import JOBS, PODS, RAY_JOBS, SERVICES, TRAINING_ATTEMPTS
from sojourn_operator.runtime.actions import perform
from sojourn_operator.runtime.conditions import is_true
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key
from sojourn_operator.runtime.watching import by_label, itself, owners
from sojourn_operator.trainingattempt import reasons
from sojourn_operator.trainingattempt.observe import observe, observe_directly
from sojourn_operator.trainingattempt.plan import plan_attempt
from sojourn_operator.trainingattempt.status import end_in


class TrainingAttemptController:
    """Makes the pods of an attempt and says what became of them."""

    name: Final = "trainingattempt"
    watches: Final = (
        Watch(TRAINING_ATTEMPTS, itself),
        Watch(JOBS, owners("TrainingAttempt"), labels=MANAGED),
        Watch(RAY_JOBS, owners("TrainingAttempt"), labels=MANAGED, optional=True),
        Watch(PODS, by_label(ATTEMPT_LABEL), labels=MANAGED),
        Watch(SERVICES, owners("TrainingAttempt"), labels=MANAGED),
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ended = Counter(
            "sojourn_operator_attempts_ended",
            "Attempts that have ended, by reason.",
            ["reason"],
            registry=context.registry,
        )

    def reconcile(self, key: Key) -> float | None:
        """Bring the world nearer to what the attempt asks for."""
        cluster, now = self._context.cluster, self._context.clock.now()
        attempt = cluster.cached(TRAINING_ATTEMPTS).get(*key)
        if attempt is None:
            return None
        plan = plan_attempt(observe(cluster, attempt, now))
        if plan is None and (seen := observe_directly(cluster, key, now)) is not None:
            plan = plan_attempt(seen)
        if plan is None:
            return None
        look_again = perform(plan, cluster)
        if not is_true(attempt, reasons.ENDED) and (reason := end_in(plan)):
            self._ended.labels(reason).inc()
        return look_again
