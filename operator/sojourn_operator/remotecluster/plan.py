"""What is done about a RemoteCluster: its status, an Event when it becomes usable or is lost, and the next look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn_operator.resources import REMOTE_CLUSTERS
from sojourn_operator.runtime.actions import Action, Plan, SetStatus, Tell
from sojourn_operator.runtime.conditions import get_condition
from sojourn_operator.runtime.objects import Object

LOOK_SECONDS = 30.0
LOOK_SECONDS_IN_TROUBLE = 10.0


def plan(cluster: Object, status: Mapping[str, Any]) -> Plan:
    """The plan that brings a status to the API server."""
    before, after = get_condition(cluster, "Ready"), get_condition({"status": status}, "Ready")
    actions: list[Action] = [SetStatus(REMOTE_CLUSTERS, cluster, status, slow=("lastSeenTime", "lastLookTime"))]
    if after is not None and (before or {}).get("reason") != after["reason"]:
        good = after["status"] == "True"
        message = "the cluster can be used" if good else after["message"]
        actions.append(Tell(cluster, "Normal" if good else "Warning", after["reason"], message))
    reachable = get_condition({"status": status}, "Reachable")
    answers = reachable is not None and reachable["status"] == "True"
    return Plan(actions, requeue_after=LOOK_SECONDS if answers else LOOK_SECONDS_IN_TROUBLE)
