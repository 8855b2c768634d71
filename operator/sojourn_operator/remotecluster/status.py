"""The status of a RemoteCluster, from one look at it and what was known before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sojourn import __version__
from sojourn_operator.remotecluster.observe import Problem, Sight
from sojourn_operator.runtime.clock import parse_rfc3339, rfc3339
from sojourn_operator.runtime.conditions import Condition, condition, is_true, with_conditions
from sojourn_operator.runtime.objects import Object

OLDEST_KUBERNETES = (1, 33)
# Clocks of two clusters may differ by this much before an operator counts as silent.
SILENT = timedelta(minutes=5)
# An operator that has not looked for so long no longer keeps the status from others.
FORSAKEN = timedelta(minutes=5)


def other_keeper(cluster: Object, home: str, now: datetime) -> str:
    """Namespace of another operator of this cluster that keeps the status, "" if there is none."""
    status = cluster.get("status", {})
    keeper, looked = str(status.get("keptBy", "")), status.get("lastLookTime")
    if keeper in ("", home) or looked is None or now - parse_rfc3339(looked) > FORSAKEN:
        return ""
    return keeper


def kept(status: Mapping[str, Any], home: str, now: datetime) -> dict[str, Any]:
    """A status signed by the operator that keeps it; with home "" by nobody, so that another may take it over."""
    return {**status, "keptBy": home or None, "lastLookTime": rfc3339(now) if home else None}


def refused_status(cluster: Object, problem: Problem, now: datetime) -> dict[str, Any]:
    """The status while the kubeconfig cannot be used."""
    conditions = [
        condition("Reachable", "Unknown", problem.reason, problem.message),
        condition("Ready", False, problem.reason, problem.message),
    ]
    return _status(cluster, {}, conditions, now)


def seen_status(cluster: Object, sight: Sight, now: datetime) -> dict[str, Any]:
    """The status after a look."""
    if not sight.version:
        return _status(cluster, {"server": sight.server}, _unanswered(cluster, sight, now), now)
    reachable = condition("Reachable", True, "Answers")
    if sight.refused:
        authorized = condition("Authorized", False, "CredentialRefused", sight.refused)
        return _status(
            cluster,
            {"server": sight.server, "lastSeenTime": rfc3339(now)},
            [reachable, authorized, condition("Ready", False, authorized.reason, authorized.message)],
            now,
        )
    authorized, compatible = _authorized(sight), _compatible(sight, now)
    broken = next((entry for entry in (authorized, compatible) if entry.status == "False"), None)
    ready = condition("Ready", broken is None, broken.reason if broken else "Ready", broken.message if broken else "")
    found: dict[str, Any] = {
        "server": sight.server,
        "version": sight.version,
        "lastSeenTime": rfc3339(now),
        "crdVersions": {plural: version for plural, version in sight.definitions or () if version is not None},
        "operatorVersion": sight.operator_version or None,
    }
    return _status(cluster, found, [reachable, authorized, compatible, _operator_seen(sight), ready], now)


def _unanswered(cluster: Object, sight: Sight, now: datetime) -> list[Condition]:
    seen = cluster.get("status", {}).get("lastSeenTime") or cluster["metadata"]["creationTimestamp"]
    patience = timedelta(seconds=cluster["spec"].get("unreachableAfterSeconds", 120))
    if now - parse_rfc3339(seen) < patience:
        waiting = condition("Reachable", "Unknown", "NoAnswer", f"no answer since {seen}: {sight.trouble}")
        if is_true(cluster, "Ready"):
            return [waiting]  # until it counts as lost it stays ready, so that work under way only waits
        return [waiting, condition("Ready", False, "NoAnswer", sight.trouble)]
    lost = f"no answer since {seen}: {sight.trouble}"
    return [condition("Reachable", False, "Unreachable", lost), condition("Ready", False, "Unreachable", lost)]


def _authorized(sight: Sight) -> Condition:
    if not sight.denied:
        return condition("Authorized", True, "RightsGranted")
    shown = ", ".join(sight.denied[:5]) + (f" and {len(sight.denied) - 5} more" if len(sight.denied) > 5 else "")
    return condition(
        "Authorized",
        False,
        "RightsMissing",
        f"the credential may not {shown}; bind the role sojourn-remote, and if that is for one namespace only, "
        "name it in the kubeconfig's context",
    )


def _compatible(sight: Sight, now: datetime) -> Condition:
    if _numbers(sight.version) < OLDEST_KUBERNETES:
        return condition("Compatible", False, "KubernetesTooOld", f"{sight.version} is older than v1.33")
    if sight.definitions is None:
        return condition("Compatible", "Unknown", "DefinitionsUnreadable", "the credential may not read CRDs")
    missing = [plural for plural, version in sight.definitions if version is None]
    if missing:
        return condition("Compatible", False, "DefinitionsMissing", f"not installed there: {', '.join(missing)}")
    older = [plural for plural, version in sight.definitions if _numbers(version or "") < _numbers(__version__)]
    if older:
        message = f"older than {__version__} there: {', '.join(older)}; upgrade Sojourn there first"
        return condition("Compatible", False, "DefinitionsOlder", message)
    if sight.operator_seen is not None and now - sight.operator_seen > SILENT:
        return condition("Compatible", False, "OperatorSilent", f"its Lease was last renewed {sight.operator_seen}")
    return condition("Compatible", True, "Compatible")


def _operator_seen(sight: Sight) -> Condition:
    """Only tells: runs can be carried without knowing which version carries on with them."""
    problem = sight.operator_problem
    if problem is not None:
        return condition("OperatorSeen", "Unknown", problem.reason, problem.message)
    return condition("OperatorSeen", True, "LeaseFound", f"version {sight.operator_version or 'not given'}")


def _numbers(version: str) -> tuple[int, int]:
    """Major and minor; what is no version is older than all."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _status(cluster: Object, found: Mapping[str, Any], conditions: list[Condition], now: datetime) -> dict[str, Any]:
    generation = cluster["metadata"]["generation"]
    before = cluster.get("status", {})
    return {
        **before,
        **found,
        "observedGeneration": generation,
        "conditions": with_conditions(before.get("conditions", ()), conditions, generation, now),
    }
