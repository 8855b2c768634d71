"""The command line behind `make clusters-up`, `clusters-down` and `clusters-status`."""

from __future__ import annotations

import argparse
import sys
import time

from e2e.clusters import testbed
from e2e.clusters.commands import ClusterError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.clusters", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="bring both clusters up and print their kubeconfigs")
    verbs.add_parser("down", help="remove everything of both clusters but the caches")
    verbs.add_parser("status", help="say what runs; ends with 1 unless both clusters can run pods")
    arguments = parser.parse_args()
    try:
        return {"up": _up, "down": _down, "status": _status}[arguments.verb]()
    except ClusterError as error:
        print(f"clusters {arguments.verb}: {error}", file=sys.stderr)
        return 1


def _up() -> int:
    started = time.monotonic()
    if testbed.up():
        print(f"up in {time.monotonic() - started:.1f} s")
    return _status()


def _down() -> int:
    testbed.down()
    return 0


def _status() -> int:
    found = testbed.status()
    for one in found:
        state = "ready" if one.ready else "not ready" if one.processes else "down"
        print(f"{one.site.name}: {state}" + (f"   KUBECONFIG={one.site.kubeconfig}" if one.ready else ""))
    return 0 if all(one.ready for one in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
