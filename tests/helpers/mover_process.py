"""One mover as a process of its own, against a plain-HTTP server of its object; light, since it is spawned."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from sojourn.incluster import ApiServer
from sojourn.mover.main import move

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    verb, port, token = sys.argv[1:]
    sys.exit(move(verb, os.environ, ApiServer("127.0.0.1", int(port), Path(token), None), ended))
