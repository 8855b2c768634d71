"""What the chart makes, by what it was asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.helm import CHART, helm, of_kind, render
from sojourn_operator.rbac import READ
from sojourn_operator.settings import Settings, load_settings

CASES = sorted((CHART / "ci").glob("*-values.yaml"))
EVERYTHING = CHART / "ci/everything-values.yaml"
NAMESPACED = CHART / "ci/namespaced-values.yaml"
SHARED = CHART / "ci/shared-values.yaml"
CLUSTER_SCOPED = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Namespace"}

by_case = pytest.mark.parametrize("case", [None, *CASES], ids=lambda case: case.stem if case else "defaults")


@pytest.fixture(scope="session")
def rendered(helm_program: str) -> dict[Path | None, list[dict[str, Any]]]:
    """The objects of every case; None is the chart as it is."""
    cases = {case: render(helm_program, "-f", str(case)) for case in CASES}
    return {None: render(helm_program), **cases}


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [obj["spec"]["template"] for obj in objects if obj["kind"] in ("Deployment", "Job")]


def roles(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [obj for obj in objects if obj["kind"] in ("Role", "ClusterRole")]


@by_case
def test_it_lints(helm_program: str, case: Path | None) -> None:
    options = ["-f", str(case)] if case else []
    done = helm(helm_program, "lint", "--strict", str(CHART), *options)
    assert done.returncode == 0, done.stdout + done.stderr


@by_case
def test_names_are_there_once(rendered: dict[Path | None, list[dict[str, Any]]], case: Path | None) -> None:
    names = [(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]) for obj in rendered[case]]
    assert sorted(set(names), key=str) == sorted(names, key=str)
    for kind, namespace, _ in names:
        assert (namespace is None) == (kind in CLUSTER_SCOPED), kind


@by_case
def test_no_role_has_a_wildcard(rendered: dict[Path | None, list[dict[str, Any]]], case: Path | None) -> None:
    for role in roles(rendered[case]):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], role["metadata"]["name"]
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"]), role["metadata"]["name"]


@by_case
def test_secrets_are_read_at_home_only(rendered: dict[Path | None, list[dict[str, Any]]], case: Path | None) -> None:
    for role in roles(rendered[case]):
        read = any("secrets" in rule["resources"] and set(READ) & set(rule["verbs"]) for rule in role["rules"])
        assert not read or (role["kind"], role["metadata"]["namespace"]) == ("Role", "ops"), role["metadata"]["name"]


@by_case
def test_pods_are_restricted(rendered: dict[Path | None, list[dict[str, Any]]], case: Path | None) -> None:
    assert pods(rendered[case])
    for pod in pods(rendered[case]):
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


@by_case
def test_the_operator_understands_its_variables(
    rendered: dict[Path | None, list[dict[str, Any]]], case: Path | None
) -> None:
    (deployment,) = of_kind(rendered[case], "Deployment").values()
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    settings = load_settings([], {entry["name"]: entry["value"] for entry in container["env"]})
    ports = {port["name"]: f":{port['containerPort']}" for port in container["ports"]}
    assert ports == {"metrics": settings.metrics_address, "health": settings.health_address}
    assert settings.lease_name == ("sojourn-teams" if case == SHARED else Settings().lease_name)
    assert settings.namespaces == ("team-a,team-b" if case == SHARED else "")
    if case == EVERYTHING:
        assert settings.trainer_image == f"registry.example/sojourn/team/trainer@sha256:{64 * '0'}"
        assert settings.serving_image == "registry.example/sojourn/sojourn-serving:1.2"
        assert settings.mover_image == "registry.example/sojourn/sojourn-mover:1.1"
        assert container["image"] == "registry.example/sojourn/sojourn-operator:1.2"
        assert (settings.cluster_name, settings.log_level, settings.workers) == ("east", "debug", 8)
        assert (settings.image_pull_policy, settings.image_pull_secrets) == ("Always", "registry")
    if case == NAMESPACED:
        assert settings.namespace == "team-a"


def test_selectors_match_the_operators_pods_only(rendered: dict[Path | None, list[dict[str, Any]]]) -> None:
    objects = rendered[None]
    (deployment,) = of_kind(objects, "Deployment").values()
    (job,) = of_kind(objects, "Job").values()
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        *(obj["spec"]["selector"]["matchLabels"] for obj in of_kind(objects, "PodDisruptionBudget").values()),
        *(obj["spec"]["podSelector"]["matchLabels"] for obj in of_kind(objects, "NetworkPolicy").values()),
        *(obj["spec"]["selector"] for obj in of_kind(objects, "Service").values()),
    ]
    for selector in selectors:
        assert selector.items() <= labels
        assert not selector.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert f"--deployment={deployment['metadata']['name']}" in container["args"]
    (given,) = (argument for argument in container["args"] if argument.startswith("--selector="))
    assert dict(pair.split("=") for pair in given.removeprefix("--selector=").split(",")) == selectors[0]


def test_two_replicas_and_a_budget_by_default(rendered: dict[Path | None, list[dict[str, Any]]]) -> None:
    (deployment,) = of_kind(rendered[None], "Deployment").values()
    (budget,) = of_kind(rendered[None], "PodDisruptionBudget").values()
    assert (deployment["spec"]["replicas"], budget["spec"]["minAvailable"]) == (2, 1)
    assert of_kind(rendered[NAMESPACED], "PodDisruptionBudget") == {}


def test_namespaced_mode_needs_nothing_of_the_whole_cluster(
    rendered: dict[Path | None, list[dict[str, Any]]],
) -> None:
    objects = rendered[NAMESPACED]
    assert {obj["kind"] for obj in objects} & CLUSTER_SCOPED == set()
    granted = {
        (role["metadata"]["namespace"], resource)
        for role in roles(objects)
        for rule in role["rules"]
        for resource in rule["resources"]
    }
    assert {namespace for namespace, _ in granted} == {"team-a", "ops"}
    assert {resource for _, resource in granted} & {"nodes", "namespaces", "remoteclusters"} == set()


def test_operators_that_share_a_cluster_keep_to_their_namespaces(
    rendered: dict[Path | None, list[dict[str, Any]]],
) -> None:
    objects = rendered[SHARED]
    work = {role["metadata"].get("namespace") for role in roles(objects) if "trainingjobs/status" in str(role["rules"])}
    assert work == {"team-a", "team-b"}
    (wide,) = [role for role in of_kind(objects, "ClusterRole").values() if "remoteclusters/status" in str(role)]
    assert "secrets" not in str(wide["rules"])
    assert "pods" not in str(wide["rules"])
    (monitor,) = of_kind(objects, "PodMonitor").values()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}
    (job,) = of_kind(objects, "Job").values()
    assert "--namespaces=team-a,team-b" in job["spec"]["template"]["spec"]["containers"][0]["args"]


def test_definitions_are_the_generated_ones(
    rendered: dict[Path | None, list[dict[str, Any]]], repository: Path
) -> None:
    definitions = of_kind(rendered[None], "CustomResourceDefinition")
    for path in (repository / "manifests/crds").glob("*.yaml"):
        plain = yaml.safe_load(path.read_text())
        assert definitions.pop(plain["metadata"]["name"])["spec"] == plain["spec"]
    assert definitions == {}


def test_definitions_stay_unless_told_otherwise(rendered: dict[Path | None, list[dict[str, Any]]]) -> None:
    def kept(case: Path | None) -> set[str | None]:
        definitions = of_kind(rendered[case], "CustomResourceDefinition").values()
        return {obj["metadata"]["annotations"].get("helm.sh/resource-policy") for obj in definitions}

    assert (kept(None), kept(EVERYTHING), kept(NAMESPACED)) == ({"keep"}, {None}, set())


def test_remote_access_is_given_where_it_was_asked_for(rendered: dict[Path | None, list[dict[str, Any]]]) -> None:
    bindings = [obj for obj in rendered[EVERYTHING] if obj["kind"] == "RoleBinding" and "remote" in str(obj["roleRef"])]
    assert sorted(obj["metadata"]["namespace"] for obj in bindings) == ["ops", "team-a", "team-b"]
    assert {subject["name"] for obj in bindings for subject in obj["subjects"]} == {"carrier-remote"}
    assert not [name for name in of_kind(rendered[None], "ServiceAccount") if "remote" in name]


def test_hooks_bring_their_own_rights_and_leave_nothing(rendered: dict[Path | None, list[dict[str, Any]]]) -> None:
    hooks = [obj for obj in rendered[None] if "helm.sh/hook" in obj["metadata"].get("annotations", {})]
    assert sorted(obj["kind"] for obj in hooks) == [
        "ClusterRole",
        "ClusterRoleBinding",
        "Job",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    ]
    for obj in hooks:
        annotations = obj["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-delete"
        assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]


def test_dashboards_show_metrics_that_exist(
    rendered: dict[Path | None, list[dict[str, Any]]], repository: Path
) -> None:
    code = "".join(
        path.read_text() for root in ("operator", "trainer", "serving") for path in (repository / root).rglob("*.py")
    )
    maps = [obj for name, obj in of_kind(rendered[EVERYTHING], "ConfigMap").items() if "dashboard" in name]
    assert maps
    for obj in maps:
        ((name, text),) = obj["data"].items()
        assert name.endswith(".json")
        dashboard = json.loads(text)
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
        assert expressions
        # Ray puts its own name before those of the trainer, which are made of "sojourn_" and a name from a table.
        for metric in set(re.findall(r"\b(?:ray_)?sojourn_[a-z_]+", " ".join(expressions))):
            base = re.sub(r"_(total|bucket|sum|count)$", "", metric.removeprefix("ray_sojourn_"))
            assert f'"{base}"' in code, metric


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("replica=3", "replica"),
        ("replicas=none", "replicas"),
        ("crds.keep=perhaps", "keep"),
        ("images.pullPolicy=Sometimes", "pullPolicy"),
        ("settings.logLevel=debug", "logLevel"),
        ("watchNamespace=a,watchNamespaces={b}", "not both"),
    ],
)
def test_a_wrong_value_is_refused(helm_program: str, option: str, words: str) -> None:
    done = helm(helm_program, "template", "sojourn", str(CHART), "--set", option)
    assert done.returncode != 0
    assert words in done.stderr
