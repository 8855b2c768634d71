"""The one object that a pod serves: what is asked in its spec, as it changes, and what is reported in its status.

Reports are merged and sent in the background, transitions at once and progress every few seconds; an API server that
is away delays them and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sojourn.incluster import ApiError, ObjectClient, ObjectGone, follow

log = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0
PROGRESS_SECONDS = 5.0


class Desk:
    """Follows and reports about one object until `ended` is set, which it does itself when the object is gone.

    Args:
        watcher: told of the spec whenever it may have changed.
        progress_seconds: how often progress is sent.
    """

    def __init__(
        self,
        client: ObjectClient,
        ended: threading.Event,
        *,
        watcher: Callable[[Mapping[str, Any]], None] = lambda spec: None,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self._client, self.ended = client, ended
        self._watcher = watcher
        self._progress_seconds = progress_seconds
        self._changed = threading.Condition()
        self._object: Mapping[str, Any] = {}
        self._pending: dict[str, Any] = {}
        self._urgent = self._sending = False
        self._sent_at = 0.0

    def open(self) -> None:
        """Begin to follow and to report; returns when the object is known, or `ended` is set."""
        for work in (self._follow, self._send):
            threading.Thread(target=work, daemon=True, name=work.__name__.strip("_")).start()
        with self._changed:
            self._changed.wait_for(lambda: self._object or self.ended.is_set())

    @property
    def spec(self) -> Mapping[str, Any]:
        """What is asked now."""
        found: Mapping[str, Any] = self._object.get("spec", {})
        return found

    @property
    def status(self) -> Mapping[str, Any]:
        """What is reported, as the API server last had it."""
        found: Mapping[str, Any] = self._object.get("status", {})
        return found

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Name, namespace and uid."""
        found: Mapping[str, Any] = self._object.get("metadata", {})
        return found

    @property
    def deleting(self) -> bool:
        """Whether somebody asked for the object's deletion."""
        return "deletionTimestamp" in self.metadata

    def wait(self, seconds: float) -> None:
        """Until the object changes, for so long at most."""
        with self._changed:
            before = self._object
            self._changed.wait_for(lambda: self._object is not before or self.ended.is_set(), seconds)

    def report(self, **fields: Any) -> None:
        """Merge fields (JSON names) into the status; None removes one."""
        with self._changed:
            self._pending |= fields
            self._urgent = True
            self._changed.notify_all()

    def progress(self, **fields: Any) -> None:
        """The same for what may wait a few seconds."""
        with self._changed:
            self._pending |= fields
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until everything is reported, for so long at most; whether it is."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._pending and not self._sending, seconds)

    def _follow(self) -> None:
        for found in follow(self._client, self.ended):
            self._watcher(found.get("spec", {}))
            with self._changed:
                self._object = found
                self._changed.notify_all()
        with self._changed:
            self.ended.set()
            self._changed.notify_all()

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._pending))
                if not self._urgent:
                    due = self._sent_at + self._progress_seconds - time.monotonic()
                    self._changed.wait_for(lambda: self._urgent, max(0.0, due))
                fields, self._pending = self._pending, {}
                self._urgent, self._sending = False, True
            try:
                self._client.patch_status(fields)
            except ObjectGone:
                self.ended.set()
            except ApiError as error:
                log.warning("cannot report: %s", error.message)
                with self._changed:
                    self._pending = {**fields, **self._pending}
                    self._urgent = True
                time.sleep(_RETRY_SECONDS)
            self._sent_at = time.monotonic()
            with self._changed:
                self._sending = False
                self._changed.notify_all()
