"""What the operator counts and times, in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a reconcile that only reads caches to one that waits for a slow API server.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The runtime's metrics, on a registry that kinds may add their own to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.reconciles = Counter(
            "sojourn_operator_reconciles",
            "Reconciles by outcome: ok, conflict (the cache was behind), error",
            ("controller", "outcome"),
            registry=registry,
        )
        self.reconcile_seconds = Histogram(
            "sojourn_operator_reconcile_seconds",
            "Time of one reconcile",
            ("controller",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.wait_seconds = Histogram(
            "sojourn_operator_queue_wait_seconds",
            "Time that a key waited for a worker",
            ("controller",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_length = Gauge(
            "sojourn_operator_queue_length", "Keys that wait for a worker", ("controller",), registry=registry
        )
        self.requests = Counter(
            "sojourn_operator_api_requests",
            "Requests to API servers; code 0 means no answer. `cluster` is empty for the operator's own",
            ("cluster", "verb", "resource", "code"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "sojourn_operator_api_request_seconds",
            "Time to the answer's headers",
            ("cluster", "verb"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.cached_objects = Gauge(
            "sojourn_operator_cached_objects", "Objects in caches", ("cluster", "resource"), registry=registry
        )
        self.leader = Gauge("sojourn_operator_leader", "1 while this replica leads", registry=registry)

    def observer(self, cluster: str) -> Callable[[str, str, int, float], None]:
        """Counts and times the requests to one cluster."""

        def observe(verb: str, resource: str, code: int, seconds: float) -> None:
            self.requests.labels(cluster, verb, resource, str(code)).inc()
            self.request_seconds.labels(cluster, verb).observe(seconds)

        return observe
