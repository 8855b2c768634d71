"""The newest state of one object, for as long as it exists, whatever happens to connections and API servers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sojourn.incluster.client import ObjectClient
from sojourn.incluster.errors import ApiError, ObjectGone, VersionExpired

log = logging.getLogger(__name__)

_PAUSES = (1.0, 2.0, 5.0, 10.0)


def follow(client: ObjectClient, ended: threading.Event, pauses: Sequence[float] = _PAUSES) -> Iterator[dict[str, Any]]:
    """The object as it is, then after every change, until it is deleted or `ended` is set.

    States between two that are yielded may be missing. A watch that was cut goes on; errors are logged and tried
    again after `pauses` in seconds, refusals too, because rights may arrive later than pods.
    """
    version = ""
    failures = 0
    while not ended.is_set():
        try:
            if not version:
                found = client.get()
                version = _version(found)
                yield found
            for found in client.watch(version):
                version = _version(found)
                if "status" in found or "spec" in found:  # a bookmark has neither
                    yield found
                if ended.is_set():
                    return
            failures = 0
        except ObjectGone as error:
            log.info("%s", error.message)
            return
        except VersionExpired:
            version = ""
        except ApiError as error:
            pause = pauses[min(failures, len(pauses) - 1)]
            failures += 1
            log.warning("%s; trying again in %.0f s", error.message, pause)
            version = ""
            ended.wait(pause)


def _version(found: dict[str, Any]) -> str:
    return str(found["metadata"]["resourceVersion"])
