"""Run before the operator is uninstalled: stops it, takes its finalizers off all objects, and its Lease away.

Without this an object that is deleted later, when no operator is there, would wait for it for ever.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sojourn.errors import SojournError
from sojourn_operator.main import connect
from sojourn_operator.resources import ALL, DEPLOYMENTS, GROUP, LEASES, PODS
from sojourn_operator.runtime.api import ApiServer
from sojourn_operator.runtime.clock import Clock, SystemClock
from sojourn_operator.runtime.objects import Object, Resource
from sojourn_operator.runtime.port import ClusterPort, Conflict, Missing
from sojourn_operator.settings import Settings

FINALIZERS = f"{GROUP}/"
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Uninstall:
    """What is uninstalled.

    Args:
        home: namespace of the operator's Deployment.
        deployment: its name.
        selector: labels of its pods.
        namespaces: those that the operator acts in; none for all.
        wait_seconds: how long its pods may take to end.
    """

    home: str
    deployment: str
    selector: str
    namespaces: tuple[str, ...] = ()
    wait_seconds: float = 60.0


def stop_operator(port: ClusterPort, it: Uninstall, clock: Clock, sleep: Callable[[float], None]) -> None:
    """Scale the operator to nothing and wait for its end; one that runs on would put finalizers back.

    Raises:
        SojournError: its pods do not end.
    """
    try:
        port.patch(DEPLOYMENTS, it.home, it.deployment, {"spec": {"replicas": 0}})
    except Missing:
        return
    deadline = clock.monotonic() + it.wait_seconds
    while pods := port.list(PODS, it.home, it.selector).items:
        if clock.monotonic() > deadline:
            names = ", ".join(sorted(pod["metadata"]["name"] for pod in pods))
            raise SojournError(f"the operator's pods do not end: {names}", hint="Delete them, and uninstall again.")
        sleep(_POLL_SECONDS)


def free_objects(port: ClusterPort, namespaces: Sequence[str] = ()) -> int:
    """Take our finalizers off every object of our kinds, in these namespaces or all; how many had one."""
    freed = 0
    for resource in ALL:
        # What belongs to the whole cluster is left to an operator that acts in all of it.
        if resource.group != GROUP or (namespaces and not resource.namespaced):
            continue
        for namespace in namespaces or ("",):
            try:
                objects = port.list(resource, namespace).items
            except Missing:
                continue  # the kind is gone, and its objects with it
            freed += sum(_free(port, resource, obj) for obj in objects)
    return freed


def _free(port: ClusterPort, resource: Resource, obj: Object) -> bool:
    metadata = obj["metadata"]
    place = (resource, metadata.get("namespace", ""), metadata["name"])
    held = metadata.get("finalizers", [])
    others = [name for name in held if not name.startswith(FINALIZERS)]
    if len(others) == len(held):
        return False
    version = metadata["resourceVersion"]
    try:
        port.patch(*place, {"metadata": {"finalizers": others or None, "resourceVersion": version}})
    except Missing:
        return True
    except Conflict:
        # Somebody else changed it meanwhile; they may have put a finalizer of their own there.
        current = port.get(*place)
        return current is None or _free(port, resource, current)
    return True


def main(arguments: Sequence[str]) -> int:
    """Stop the operator and free the objects; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m sojourn_operator.uninstall", description=__doc__)
    parser.add_argument("--deployment", required=True, help="name of the operator's Deployment")
    parser.add_argument("--selector", required=True, help="labels of its pods, KEY=VALUE,...")
    parser.add_argument("--lease", required=True, help="name of its Lease")
    parser.add_argument("--namespaces", default="", help="those that the operator acts in, A,B,...; without it: all")
    parser.add_argument("--home", default="", help="namespace of the Deployment; without it: the pod's own")
    parser.add_argument("--kubeconfig", default="", help="kubeconfig file; without it: the pod's service account")
    options = parser.parse_args(arguments)
    clock = SystemClock()
    try:
        connection = connect(Settings(kubeconfig=options.kubeconfig), clock)
        namespaces = tuple(name for name in options.namespaces.split(",") if name)
        it = Uninstall(options.home or connection.namespace, options.deployment, options.selector, namespaces)
        port = ApiServer(connection, ALL, clock)
        stop_operator(port, it, clock, time.sleep)
        port.delete(LEASES, it.home, options.lease)
        freed = free_objects(port, it.namespaces)
    except SojournError as error:
        print(f"uninstall: {error}", file=sys.stderr)
        return error.exit_code
    print(f"the operator has stopped; {freed} objects no longer wait for it")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
