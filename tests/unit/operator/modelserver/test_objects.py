"""The objects of a ModelServer that uses every field, as golden files, and held to the real schema of an HTTPRoute."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.api_server import defaulted, judge
from sojourn.api.crds import KINDS, definition
from sojourn.api.model_server import ModelServer
from sojourn_operator.engines.storage import Attached
from sojourn_operator.modelserver.exposure import http_route, ingress, url
from sojourn_operator.modelserver.pods import Export, resolver_spec
from sojourn_operator.modelserver.storage import StoreProblem, store_access
from sojourn_operator.modelserver.workload import deployment, disruption_budget, resolver, revision, service
from sojourn_operator.settings import Settings

GATEWAY_API = "sigs.k8s.io/gateway-api@v1.3.0"
EXPORT = Export(3, "blake3:" + 64 * "a", "team/digits-00000000-0000-0000-0000-000000000001")
SERVER: dict[str, Any] = {
    "apiVersion": "sojourn.dev/v1alpha1",
    "kind": "ModelServer",
    "metadata": {"name": "digits", "namespace": "team", "uid": "uid-1", "generation": 1},
    "spec": {
        "model": {"storeRef": {"name": "runs"}, "run": "digits"},
        "modelName": "numbers",
        "replicas": 3,
        "image": "registry.example.com/serving:1",
        "imagePullPolicy": "Always",
        "maxBatch": 8,
        "resources": {"cpu": "2500m", "memory": "4Gi", "gpu": 1},
        "terminationGracePeriodSeconds": 90,
        "podTemplate": {
            "labels": {"team": "vision"},
            "annotations": {"note": "hello"},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "imagePullSecrets": [{"name": "pull"}],
            "env": [{"name": "TF_CPP_MIN_LOG_LEVEL", "value": "1"}],
            "volumes": [{"name": "lookup", "configMap": {"name": "lookup"}}],
            "volumeMounts": [{"name": "lookup", "mountPath": "/lookup", "readOnly": True}],
            "priorityClassName": "serving",
            "runtimeClassName": "nvidia",
        },
        "exposure": {"ingress": {"host": "models.example.com", "className": "nginx", "tlsSecretName": "tls"}},
    },
}
STORE = {
    "spec": {
        "uri": "s3://bucket/sojourn",
        "secretRef": {"name": "bucket"},
        "region": "eu-west-1",
        "endpoint": "https://minio.example.com:9000",
    }
}
ROUTE = {
    "httpRoute": {
        "gateway": {"name": "public", "namespace": "gateways", "sectionName": "https"},
        "hostnames": ["models.example.com"],
        "tls": True,
    }
}


def access(store: dict[str, Any] | None, **reference: str) -> Attached:
    found = store_access(reference or {"name": "runs"}, store)
    assert isinstance(found, Attached)
    return found


def completed(**spec: Any) -> dict[str, Any]:
    """The server as the API server would hand it to the operator."""
    kind = next(kind for kind in KINDS if kind.model is ModelServer)
    schema = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return defaulted(schema, {**SERVER, "spec": {**SERVER["spec"], **spec}})


def as_yaml(*objects: dict[str, Any]) -> str:
    return yaml.safe_dump_all(json.loads(json.dumps(objects)), sort_keys=False, width=120)


def test_the_objects_are_the_golden_ones(golden: Callable[[str, str], None]) -> None:
    server = completed()
    made = revision(server, access(STORE), EXPORT, Settings())
    lookup = resolver_spec(server["spec"], access(STORE), "team/digits", None, Settings())
    golden(
        "operator/model-server.yaml",
        as_yaml(
            resolver(server, "1a2b3c4d5e", lookup),
            deployment(server, made, 3),
            service(server, made.name),
            disruption_budget(server),
            ingress(server),
            http_route(completed(exposure=ROUTE)),
        ),
    )


def test_only_the_fetching_container_sees_a_volume_that_holds_the_store() -> None:
    claim = {"spec": {"pvc": {"claimName": "runs", "path": "deep/er"}}}
    spec = revision(completed(), access(claim), EXPORT, Settings()).template["spec"]
    (fetch,), (serving,) = spec["initContainers"], spec["containers"]
    assert {"name": "store", "mountPath": "/sojourn/store", "readOnly": True} in fetch["volumeMounts"]
    assert "store" not in {mount["name"] for mount in serving["volumeMounts"]}
    assert {"name": "SOJOURN_STORE", "value": "/sojourn/store/deep/er"} in fetch["env"]
    assert spec["automountServiceAccountToken"] is False


def test_the_revision_changes_with_what_the_pods_are_and_with_nothing_else() -> None:
    first = revision(completed(), access(STORE), EXPORT, Settings()).name
    assert first.startswith("v3-")
    for spec in ({"replicas": 9}, {"exposure": ROUTE}, {"progressDeadlineSeconds": 5}):
        assert revision(completed(**spec), access(STORE), EXPORT, Settings()).name == first
    for spec in ({"image": "other:2"}, {"resources": {"cpu": "1"}}, {"podTemplate": {"labels": {"a": "b"}}}):
        assert revision(completed(**spec), access(STORE), EXPORT, Settings()).name != first


@pytest.mark.parametrize(
    ("reference", "store", "reason"),
    [
        ({"name": "runs"}, None, "StoreNotFound"),
        ({"uri": "file:///data"}, None, "StoreNotReachable"),
        ({"name": "runs"}, {"spec": {"uri": "file:///data"}}, "StoreNotReachable"),
    ],
)
def test_a_store_that_pods_cannot_read_is_a_problem(reference: Any, store: Any, reason: str) -> None:
    problem = store_access(reference, store)
    assert isinstance(problem, StoreProblem)
    assert problem.reason == reason


def test_a_claim_can_be_named_by_its_address() -> None:
    found = access(None, uri="pvc://runs/sojourn")
    assert found.volumes == ({"name": "store", "persistentVolumeClaim": {"claimName": "runs", "readOnly": True}},)
    assert {"name": "SOJOURN_STORE", "value": "/sojourn/store/sojourn"} in found.env


@pytest.mark.parametrize(
    ("exposure", "address"),
    [
        (None, "http://digits.team.svc"),
        ({"ingress": {"host": "a.example.com"}}, "http://a.example.com"),
        (ROUTE, "https://models.example.com"),
        ({"httpRoute": {"gateway": {"name": "g"}, "hostnames": ["*.example.com"]}}, "http://digits.team.svc"),
    ],
)
def test_the_address_is_what_clients_outside_use(exposure: Any, address: str) -> None:
    assert url(completed(exposure=exposure)) == f"{address}/v1/models/numbers"


def test_the_route_obeys_the_gateway_api() -> None:
    if shutil.which("go") is None:
        pytest.skip("needs Go, which fetches the Gateway API's schema")
    done = subprocess.run(["go", "mod", "download", "-json", GATEWAY_API], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs {GATEWAY_API} from a Go module proxy: {done.stdout}{done.stderr}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / "standard"
    crd = yaml.safe_load((folder / "gateway.networking.k8s.io_httproutes.yaml").read_text())
    assert crd["spec"]["versions"][0]["name"] == "v1"
    route = http_route(completed(exposure=ROUTE))
    assert judge(crd, route) == []
    route["spec"]["rules"][0]["matches"][0]["path"]["type"] = "Prefix"
    assert judge(crd, route) != []
