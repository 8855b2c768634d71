"""The controller of ModelServers."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter

from sojourn_operator.context import Context
from sojourn_operator.engines.names import MANAGED
from sojourn_operator.modelserver.names import SERVER_LABEL, run_name
from sojourn_operator.modelserver.observe import observe
from sojourn_operator.modelserver.plan import plan
from sojourn_operator.resources import (
    CHECKPOINT_STORES,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    INGRESSES,
    MODEL_SERVERS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SERVICES,
    TRAINING_ATTEMPTS,
)
from sojourn_operator.runtime.actions import Tell, perform
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object, key_of
from sojourn_operator.runtime.watching import by_label, itself, owners

ROLLOUT_EVENTS = ("Switched", "RolledBack")


class ModelServerController:
    """Serves what a ModelServer names, and moves on from version to version without losing a request."""

    name = "modelserver"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rollouts = Counter(
            "sojourn_operator_model_server_rollouts",
            "Rollouts of model versions that ended.",
            ["outcome"],
            registry=context.registry,
        )
        for outcome in ROLLOUT_EVENTS:
            self._rollouts.labels(outcome)
        mine = owners("ModelServer")
        self.watches = (
            Watch(MODEL_SERVERS, itself),
            *(Watch(kind, mine, labels=MANAGED) for kind in (DEPLOYMENTS, SERVICES, POD_DISRUPTION_BUDGETS, INGRESSES)),
            Watch(HTTP_ROUTES, mine, labels=MANAGED, optional=True),
            Watch(HORIZONTAL_POD_AUTOSCALERS, self._scaled_by),
            Watch(PODS, by_label(SERVER_LABEL), labels=MANAGED),
            Watch(CHECKPOINT_STORES, self._users_of_store),
            Watch(TRAINING_ATTEMPTS, self._users_of_run),
        )

    def reconcile(self, key: Key) -> float | None:
        """See `Controller`."""
        cluster = self._context.cluster
        server = cluster.cached(MODEL_SERVERS).get(*key)
        if server is None:
            return None
        world = observe(cluster, server, self._context.settings, self._context.clock.now())
        todo = plan(world)
        again = perform(todo, cluster)
        for action in todo.actions:
            if isinstance(action, Tell) and action.reason in ROLLOUT_EVENTS:
                self._rollouts.labels(action.reason).inc()
        return again

    def _users_of_store(self, store: Object) -> Iterable[Key]:
        name = store["metadata"]["name"]
        return [
            key_of(server) for server in self._servers(store) if server["spec"]["model"]["storeRef"].get("name") == name
        ]

    def _users_of_run(self, attempt: Object) -> Iterable[Key]:
        if not attempt.get("status", {}).get("exports"):
            return []
        run = attempt["status"].get("run", {}).get("name")
        return [key_of(server) for server in self._servers(attempt) if run_name(server["spec"]["model"]["run"]) == run]

    def _scaled_by(self, scaler: Object) -> Iterable[Key]:
        target = scaler["spec"]["scaleTargetRef"]["name"]
        return [
            key_of(server) for server in self._servers(scaler) if target.startswith(f"{server['metadata']['name']}-v")
        ]

    def _servers(self, obj: Object) -> Iterable[Object]:
        return self._context.cluster.cached(MODEL_SERVERS).list(obj["metadata"]["namespace"])
