"""`ray start`, sooner: the dashboard comes up beside what follows, and Ray's client server, which nobody uses, not.

Ray waits for its dashboard, which takes longer to start than all the rest: eight processes. Here it starts at a lower
priority than the node, and keeps that, so it takes nothing from training either. Ray's version is pinned.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from ray._private.node import Node
from ray.scripts.scripts import main

_LOWER_PRIORITY = 10


def beside(start: Callable[..., None]) -> Callable[..., None]:
    """A method that starts a process, made to return at once; the process has a lower priority."""

    def run(node: Node, options: dict[str, Any]) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER_PRIORITY)  # of this thread; it is inherited
        start(node, **options)
        threading.Event().wait()  # Linux ends a child that is to die with its parent when the thread ends that made it

    def start_beside(node: Node, **options: Any) -> None:
        # A head without its dashboard still trains: the log has why it is missing.
        threading.Thread(target=run, args=(node, options | {"raise_on_failure": False}), daemon=True).start()

    return start_beside


if __name__ == "__main__":
    Node.start_api_server = beside(Node.start_api_server)
    Node.start_ray_client_server = lambda node: None
    sys.argv = ["ray", *sys.argv[1:]]
    main()
