"""What the replicas count. prometheus_client's multi-process mode adds them up over replicas, dead ones included.

Import this only after PROMETHEUS_MULTIPROC_DIR is set: the client library decides on import where values live.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

REQUESTS = Counter("sojourn_serving_requests", "Requests answered.", ["protocol", "operation", "code"], registry=None)
REQUEST_SECONDS = Histogram(
    "sojourn_serving_request_seconds",
    "From the request's head to its answer.",
    ["protocol", "operation"],
    buckets=_SECONDS,
    registry=None,
)
IN_FLIGHT = Gauge(
    "sojourn_serving_in_flight", "Requests being answered now.", multiprocess_mode="livesum", registry=None
)
READY = Gauge("sojourn_serving_ready_replicas", "Replicas that are ready.", multiprocess_mode="livesum", registry=None)
INFO = Gauge(
    "sojourn_serving_model_info",
    "The model that is served.",
    ["model", "version"],
    multiprocess_mode="livemax",
    registry=None,
)
BATCH_ROWS = Histogram("sojourn_serving_batch_rows", "Rows of a batch, before padding.", buckets=_ROWS, registry=None)
BATCH_REQUESTS = Counter("sojourn_serving_batched_requests", "Requests that ran in batches.", registry=None)
QUEUE_SECONDS = Histogram(
    "sojourn_serving_queue_seconds", "How long a batch's oldest request waited.", buckets=_SECONDS, registry=None
)
MODEL_SECONDS = Histogram(
    "sojourn_serving_model_seconds", "How long the model took for a batch.", buckets=_SECONDS, registry=None
)
RESTARTS = Counter("sojourn_serving_replica_restarts", "Replicas started again after they died.", registry=None)


class BatchMetrics:
    """A batcher's observer."""

    def batch(self, requests: int, rows: int, waited: float, seconds: float) -> None:
        BATCH_REQUESTS.inc(requests)
        BATCH_ROWS.observe(rows)
        QUEUE_SECONDS.observe(waited)
        MODEL_SECONDS.observe(seconds)


def scrape() -> bytes:
    """The sums over all replicas, in Prometheus' text format."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return bytes(generate_latest(registry))


def forget(pid: int) -> None:
    """Drop a dead process's gauges; its counters stay in the sums."""
    multiprocess.mark_process_dead(pid)
