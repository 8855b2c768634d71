"""The command line behind `make clusters-up`, `clusters-down`, `clusters-status`, `clusters-build` and `images`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from e2e.clusters import images, needs, testbed
from e2e.clusters.commands import ClusterError
from e2e.clusters.network import Link
from e2e.clusters.programs import build_programs

HELP = {
    "up": "bring both clusters up and print their kubeconfigs",
    "down": "remove everything of both clusters but the caches",
    "status": "say what runs; ends with 1 unless both clusters can run pods",
    "build": "build the programs and the images, and start nothing; says so where this machine cannot",
    "images": "build and push the images whose inputs changed, and print their references",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.clusters", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    parsers = {verb: verbs.add_parser(verb, help=text) for verb, text in HELP.items()}
    parsers["images"].add_argument("targets", nargs="*", choices=[*images.TARGETS, []], help="all when none is named")
    arguments = parser.parse_args()
    actions: dict[str, Callable[[], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "build": _build,
        "images": lambda: _images(arguments.targets or images.TARGETS),
    }
    try:
        return actions[arguments.verb]()
    except ClusterError as error:
        print(f"clusters {arguments.verb}: {error}", file=sys.stderr)
        return 1


def _up() -> int:
    started = time.monotonic()
    if testbed.up():
        print(f"up in {time.monotonic() - started:.1f} s")
    testbed.keep()
    return _status()


def _down() -> int:
    testbed.down()
    return 0


def _status() -> int:
    found = testbed.status()
    for one in found:
        state = "ready" if one.ready else "not ready" if one.processes else "down"
        print(f"{one.site.name}: {state}" + (f"   KUBECONFIG={one.site.kubeconfig}" if one.api else ""))
    if not all(one.ready for one in found):
        return 1
    link = Link().state()
    shape = f"{link.rate_mbit or 'unlimited'} Mbit/s, {link.delay_ms:g} ms each way"
    print(f"link: {'cut' if link.down else shape}")
    return 0


def _build() -> int:
    try:
        needs.check()
        build_programs()
        images.push_images()
    except needs.Unavailable as error:
        print(f"no test clusters here, and the tests that need them will skip: {error}", file=sys.stderr)
    return 0


def _images(targets: Sequence[str]) -> int:
    needs.check()
    for reference in images.push_images(targets).values():
        print(reference)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
