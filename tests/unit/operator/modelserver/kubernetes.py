"""What Kubernetes and the pods do for a ModelServer: lookups that answer, Deployments that get ready or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn_operator.context import Context
from sojourn_operator.resources import DEPLOYMENTS, PODS
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key
from sojourn_operator.runtime.watching import itself

RUN = "team/digits-00000000-0000-0000-0000-000000000001"


def manifest(version: int) -> str:
    return "blake3:" + f"{version:x}" * 64


@dataclass
class Reality:
    """The test's knobs: exports that the store has, versions whose pods never become ready, and pods' answers."""

    exports: list[int] = field(default_factory=lambda: [1])
    broken: set[int] = field(default_factory=set)
    slow: set[int] = field(default_factory=set)
    lookups: list[list[str]] = field(default_factory=list)

    def answer(self, command: list[str]) -> tuple[str, Mapping[str, Any]]:
        self.lookups.append(command)
        wanted = [int(part.partition("=")[2]) for part in command if part.startswith("--version=")]
        fitting = [version for version in self.exports if not wanted or version in wanted]
        if not fitting:
            return "Failed", {"reason": "NoExport", "message": "the run 'digits' has no SavedModel export", "hint": ""}
        version = max(fitting)
        return "Succeeded", {"version": version, "manifest": manifest(version), "run": RUN, "step": 100 * version}


class Lookups:
    """Ends resolver pods with an answer."""

    name = "lookups"

    def __init__(self, context: Context, reality: Reality) -> None:
        self._context, self._reality = context, reality
        self.watches = (Watch(PODS, itself),)

    def reconcile(self, key: Key) -> None:
        pod = self._context.cluster.cached(PODS).get(*key)
        if pod is None or "status" in pod or "-resolve-" not in key.name:
            return
        phase, data = self._reality.answer(pod["spec"]["containers"][0]["command"])
        ended = {"exitCode": int(phase == "Failed"), "message": json.dumps(data)}
        status = {"phase": phase, "containerStatuses": [{"name": "resolve", "state": {"terminated": ended}}]}
        self._context.cluster.port.patch_status(PODS, *key, {"status": status})


class Deployments:
    """Makes the pods of a Deployment ready at once, unless its version is broken or slow."""

    name = "deployments"

    def __init__(self, context: Context, reality: Reality) -> None:
        self._context, self._reality = context, reality
        self.watches = (Watch(DEPLOYMENTS, itself),)

    def reconcile(self, key: Key) -> None:
        made = self._context.cluster.cached(DEPLOYMENTS).get(*key)
        if made is None:
            return
        version = int(made["metadata"]["annotations"]["sojourn.dev/model-version"])
        count = made["spec"]["replicas"]
        ready = 0 if version in self._reality.broken | self._reality.slow else count
        late = version in self._reality.broken and count > 0
        status: dict[str, Any] = {
            "observedGeneration": made["metadata"]["generation"],
            "replicas": count,
            "updatedReplicas": count,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": [{"type": "Progressing", "status": "False" if late else "True"}],
        }
        if made.get("status") != status:
            self._context.cluster.port.patch_status(DEPLOYMENTS, *key, {"status": status})
