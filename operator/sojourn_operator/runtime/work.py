"""One controller and its queue: takes a key, reconciles it, and says when it is to be looked at again."""

from __future__ import annotations

import logging

from sojourn_operator.runtime.clock import Clock
from sojourn_operator.runtime.controller import Controller
from sojourn_operator.runtime.metrics import Metrics
from sojourn_operator.runtime.objects import Key
from sojourn_operator.runtime.port import ClusterError, Conflict, Throttled
from sojourn_operator.runtime.queue import Backoff, KeyedQueue

# A conflict means that the cache was behind: the change that it missed is on its way.
CONFLICT_SECONDS = 0.1
_log = logging.getLogger(__name__)


class Work:
    """Threads share it: each `step` works on a key that nobody else works on.

    Args:
        strict: let errors that are no ClusterError fly, as tests want it, instead of trying the key again.
    """

    def __init__(
        self, controller: Controller, clock: Clock, metrics: Metrics, backoff: Backoff, *, strict: bool = False
    ) -> None:
        self.controller = controller
        self.queue: KeyedQueue[Key] = KeyedQueue(clock, backoff)
        self._clock = clock
        self._metrics = metrics
        self._strict = strict
        metrics.queue_length.labels(controller.name).set_function(lambda: len(self.queue))

    def step(self, timeout: float = 0.0) -> Key | None:
        """Reconcile the next key; None if there was none in time."""
        taken = self.queue.take(timeout)
        if taken is None:
            return None
        key, waited = taken
        name = self.controller.name
        self._metrics.wait_seconds.labels(name).observe(waited)
        started = self._clock.monotonic()
        outcome = "error"
        try:
            again = self.controller.reconcile(key)
            outcome = "ok"
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)
        except Conflict:
            outcome = "conflict"
            self.queue.add_after(key, CONFLICT_SECONDS)
        except ClusterError as error:
            wait = self.queue.retry(key, error.retry_after if isinstance(error, Throttled) else 0.0)
            _log.warning("reconcile failed", extra={**_about(name, key), "error": str(error), "retry_seconds": wait})
        except Exception:
            # One object that trips over a mistake of ours must not stop all others.
            if self._strict:
                raise
            wait = self.queue.retry(key)
            _log.exception("reconcile failed unexpectedly", extra={**_about(name, key), "retry_seconds": wait})
        finally:
            self.queue.done(key)
            self._metrics.reconciles.labels(name, outcome).inc()
            self._metrics.reconcile_seconds.labels(name).observe(self._clock.monotonic() - started)
        return key


def _about(controller: str, key: Key) -> dict[str, str]:
    return {"controller": controller, "namespace": key.namespace, "object": key.name}
