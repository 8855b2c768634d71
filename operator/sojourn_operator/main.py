"""The operator's process: settings, connection, leader election, then the controllers of every kind."""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from sojourn import __version__
from sojourn.errors import SojournError
from sojourn_operator.checkpoint.controller import CheckpointController, CommitController
from sojourn_operator.checkpointstore.controller import CheckpointStoreController
from sojourn_operator.checkpointtransfer.controller import CheckpointTransferController
from sojourn_operator.context import Context
from sojourn_operator.migration.controller import MigrationController
from sojourn_operator.modelserver.controller import ModelServerController
from sojourn_operator.remotecluster.controller import RemoteClusterController
from sojourn_operator.resources import ALL, GROUP
from sojourn_operator.runtime.api import ApiServer, Limits
from sojourn_operator.runtime.clock import Clock, SystemClock
from sojourn_operator.runtime.connection import Connection, from_kubeconfig_file, in_cluster
from sojourn_operator.runtime.controller import Controller
from sojourn_operator.runtime.leader import Elector, Term
from sojourn_operator.runtime.logs import configure_logging
from sojourn_operator.runtime.manager import Manager, Pace
from sojourn_operator.runtime.metrics import Metrics
from sojourn_operator.runtime.queue import Backoff
from sojourn_operator.runtime.web import Answer, serve
from sojourn_operator.settings import Settings, environment, load_settings
from sojourn_operator.trainingattempt.controller import TrainingAttemptController
from sojourn_operator.trainingjob.controller import TrainingJobController

# What of the requests to an API server may go into statuses that tell of mere progress.
PROGRESS_SHARE: Final = 0.2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """A controller to run; one of the `whole_cluster` is left out where the operator acts in one namespace only."""

    make: Callable[[Context], Controller]
    whole_cluster: bool = False


# One line per kind.
CONTROLLERS: Final[Sequence[Kind]] = (
    Kind(RemoteClusterController, whole_cluster=True),
    Kind(MigrationController),
    Kind(TrainingJobController),
    Kind(TrainingAttemptController),
    Kind(CommitController),
    Kind(CheckpointController),
    Kind(CheckpointStoreController),
    Kind(CheckpointTransferController),
    Kind(ModelServerController),
)


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; the process's exit code."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings(arguments, environment())
        configure_logging(settings.log_format, settings.log_level)
        clock = SystemClock()
        connection = connect(settings, clock)
        return Operator(settings, connection, clock).run(stop)
    except SojournError as error:
        print(f"sojourn-operator: {error}", file=sys.stderr)
        return error.exit_code


def connect(settings: Settings, clock: Clock) -> Connection:
    """The kubeconfig that is named, else the pod's service account, else the user's kubeconfig.

    Raises:
        InvalidInput: none of them can be used.
    """
    if settings.kubeconfig or settings.context:
        return from_kubeconfig_file(settings.kubeconfig, settings.context)
    if environment().get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environment(), clock)
    return from_kubeconfig_file()


class Operator:
    """One replica."""

    def __init__(
        self, settings: Settings, connection: Connection, clock: Clock, kinds: Sequence[Kind] = CONTROLLERS
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._home = settings.operator_namespace or connection.namespace or settings.namespace or "default"
        disable_created_metrics()
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._metrics = Metrics(registry)
        self._port = self._dial("", connection)
        self._manager = self._managed(kinds)
        self._leads = False

    def run(self, stop: Event) -> int:
        """Lead when it may, until `stop`; 0, or 1 when leadership or a part of it was lost."""
        settings = self._settings
        pages = {"/healthz": self._health, "/readyz": self._readiness}
        if settings.metrics_address:
            serve(settings.metrics_address, {"/metrics": self._exposition})
        if settings.health_address:
            serve(settings.health_address, pages)
        _log.info(
            "operator started", extra={"version": __version__, "namespace": settings.namespace, "home": self._home}
        )
        if not settings.leader_elect:
            self._lead()
            stop.wait()
            self._manager.stop()
            return 0
        # A restarted container has the name of the one before, which may not be quite dead.
        identity = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        term = Term(settings.lease_seconds, settings.renew_deadline_seconds, settings.retry_seconds)
        place = (self._home, settings.lease_name)
        about = {f"{GROUP}/version": __version__, f"{GROUP}/cluster": settings.cluster_name}
        elector = Elector(self._port, place, identity, self._clock, term, about)
        if not elector.acquire(stop):
            return 0
        self._lead()
        if not elector.hold(stop):
            _log.error("leadership lost", extra={"lease": settings.lease_name, "identity": identity})
            return 1
        self._manager.stop()
        elector.release()
        return 0

    def _lead(self) -> None:
        _log.info("leading", extra={"lease": self._settings.lease_name})
        self._leads = True
        self._metrics.leader.set(1)
        self._manager.start()

    def _managed(self, kinds: Sequence[Kind]) -> Manager:
        settings = self._settings
        pace = Pace(
            settings.workers,
            settings.resync_seconds,
            settings.progress_seconds,
            settings.qps * PROGRESS_SHARE,
            Backoff(settings.backoff_seconds, settings.backoff_cap_seconds),
        )
        manager = Manager(self._clock, self._metrics, pace)
        names = (name.strip() for name in (settings.namespace or settings.namespaces).split(","))
        cluster = manager.local(self._port, tuple(name for name in names if name))
        context = Context(cluster, manager, self._dial, settings, self._clock, self._metrics.registry, home=self._home)
        for kind in kinds:
            if not (kind.whole_cluster and settings.namespace):
                manager.add(kind.make(context))
        manager.build()
        return manager

    def _dial(self, name: str, connection: Connection) -> ApiServer:
        settings = self._settings
        limits = Limits(settings.qps, settings.burst, settings.request_seconds, settings.watch_seconds)
        return ApiServer(connection, ALL, self._clock, name=name, limits=limits, observe=self._metrics.observer(name))

    def _exposition(self) -> Answer:
        for view, caches in self._manager.caches().items():
            for plural, size in caches.sizes().items():
                self._metrics.cached_objects.labels(view, plural).set(size)
        return Answer(200, generate_latest(self._metrics.registry), CONTENT_TYPE_LATEST)

    def _health(self) -> Answer:
        if self._leads and not self._manager.is_alive:
            return Answer(500, b"a thread has died\n")
        return Answer(200, b"ok\n")

    def _readiness(self) -> Answer:
        if self._leads and not self._manager.is_synced:
            return Answer(503, b"the caches are not filled yet\n")
        return Answer(200, b"leading\n" if self._leads else b"standing by\n")
