"""How clients outside of the cluster reach a ModelServer: an Ingress or an HTTPRoute, and the address in its status.

Only the two protocols are routed; health and metrics stay inside.
"""

from __future__ import annotations

from typing import Any, Final

from sojourn_operator.modelserver.names import server_labels
from sojourn_operator.modelserver.pods import model_name
from sojourn_operator.modelserver.workload import SERVICE_PORT
from sojourn_operator.runtime.objects import Object, owner_reference

PATHS: Final = ("/v1", "/v2")


def url(server: Object) -> str:
    """Address of the model, as `sojourn predict` takes it."""
    exposure = server["spec"].get("exposure", {})
    name, namespace = server["metadata"]["name"], server["metadata"]["namespace"]
    base = f"http://{name}.{namespace}.svc"
    if "ingress" in exposure:
        scheme = "https" if exposure["ingress"].get("tlsSecretName") else "http"
        base = f"{scheme}://{exposure['ingress']['host']}"
    elif hosts := [host for host in exposure.get("httpRoute", {}).get("hostnames", ()) if "*" not in host]:
        scheme = "https" if exposure["httpRoute"].get("tls") else "http"
        base = f"{scheme}://{hosts[0]}"
    return f"{base}/v1/models/{model_name(server['spec'])}"


def ingress(server: Object) -> dict[str, Any]:
    """The Ingress that spec.exposure.ingress asks for."""
    wanted = server["spec"]["exposure"]["ingress"]
    backend = {"service": {"name": server["metadata"]["name"], "port": {"name": "http"}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": backend} for path in PATHS]
    spec: dict[str, Any] = {"rules": [{"host": wanted["host"], "http": {"paths": paths}}]}
    if wanted.get("className"):
        spec["ingressClassName"] = wanted["className"]
    if wanted.get("tlsSecretName"):
        spec["tls"] = [{"hosts": [wanted["host"]], "secretName": wanted["tlsSecretName"]}]
    made = _object(server, "networking.k8s.io/v1", "Ingress", spec)
    if wanted.get("annotations"):
        made["metadata"]["annotations"] = dict(wanted["annotations"])
    return made


def http_route(server: Object) -> dict[str, Any]:
    """The HTTPRoute that spec.exposure.httpRoute asks for. TLS is the Gateway's: its listener holds the certificate."""
    wanted = server["spec"]["exposure"]["httpRoute"]
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **wanted["gateway"]}
    matches = [{"path": {"type": "PathPrefix", "value": path}} for path in PATHS]
    backend = {"group": "", "kind": "Service", "name": server["metadata"]["name"], "port": SERVICE_PORT, "weight": 1}
    spec: dict[str, Any] = {"parentRefs": [gateway], "rules": [{"matches": matches, "backendRefs": [backend]}]}
    if wanted.get("hostnames"):
        spec["hostnames"] = list(wanted["hostnames"])
    return _object(server, "gateway.networking.k8s.io/v1", "HTTPRoute", spec)


def _object(server: Object, api_version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    name, namespace = server["metadata"]["name"], server["metadata"]["namespace"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": server_labels(name),
            "ownerReferences": [owner_reference(server)],
        },
        "spec": spec,
    }
