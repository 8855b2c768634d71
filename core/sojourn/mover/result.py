"""What a short pod found out, left as its termination message: it needs no rights at all to be read by the operator."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

DEFAULT = "/dev/termination-log"
VARIABLE = "SOJOURN_RESULT"
_MOST_TEXT = 1024


def leave(environment: Mapping[str, str], result: Mapping[str, Any]) -> None:
    """Write the result where the kubelet reads it (at most 4096 bytes count)."""
    short = {name: value[:_MOST_TEXT] if isinstance(value, str) else value for name, value in result.items()}
    text = json.dumps(short)
    log.info("%s", text)
    Path(environment.get(VARIABLE) or DEFAULT).write_text(text)
