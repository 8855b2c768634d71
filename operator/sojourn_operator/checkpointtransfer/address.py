"""Where the other end reaches a mover that listens (pure)."""

from __future__ import annotations

from sojourn_operator.checkpointtransfer.observe import Observed
from sojourn_operator.movers.names import PORT, mover_name
from sojourn_operator.movers.results import is_alive


def address(seen: Observed) -> tuple[str, int] | None:
    """Host and port, None while they are not known."""
    exposure = seen.spec.get("exposure", {})
    match exposure.get("type", "NodePort"):
        case "Address":
            return exposure["address"], int(exposure.get("port", PORT))
        case "ClusterIP":
            return f"{mover_name(seen.name)}.{seen.namespace}.svc", PORT
        case "LoadBalancer":
            return _load_balancer(seen)
        case _:
            return _node_port(seen)


def _load_balancer(seen: Observed) -> tuple[str, int] | None:
    service = seen.children.get("Service", {})
    for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress", ()):
        host = ingress.get("ip") or ingress.get("hostname")
        if host:
            return str(host), PORT
    return None


def _node_port(seen: Observed) -> tuple[str, int] | None:
    """A node that runs the mover; the operator need not list nodes to know one."""
    ports = seen.children.get("Service", {}).get("spec", {}).get("ports", ())
    number = next((port["nodePort"] for port in ports if port.get("nodePort")), None)
    hosts = [pod["status"]["hostIP"] for pod in seen.pods if is_alive(pod) and pod.get("status", {}).get("hostIP")]
    return (hosts[0], int(number)) if number and hosts else None
