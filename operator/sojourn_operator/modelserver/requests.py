"""Which export a ModelServer asks for, and what the pod answered that looked it up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sojourn_operator.modelserver.names import digest_of, run_name
from sojourn_operator.modelserver.pods import Export
from sojourn_operator.runtime.objects import Object


@dataclass(frozen=True, slots=True)
class Request:
    """What to look up. `digest` names it, also together with how many exports were known when it was made."""

    address: str
    version: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod found: the fields of status.resolved, or the reason why not and a message for people."""

    found: Mapping[str, Any] | None = None
    reason: str = ""
    message: str = ""


def request_of(server: Object, attempts: Iterable[Object]) -> Request:
    """The request of a spec. A new export by one of `attempts` makes a new request where no version is pinned."""
    spec, namespace = server["spec"], server["metadata"]["namespace"]
    model = spec["model"]
    run = model["run"] if "/" in model["run"] else f"{model.get('namespace', namespace)}/{model['run']}"
    wanted = spec.get("rollback", {}).get("toVersion")
    version = wanted if wanted is not None else model.get("version")
    checkpoint = model.get("checkpoint") if version is None else None
    address = f"{run}@{checkpoint}" if checkpoint else run
    known = newest_export(server, attempts) if version is None else ""
    return Request(
        address, version, digest_of({"at": address, "v": version, "store": model["storeRef"], "known": known}, 10)
    )


def newest_export(server: Object, attempts: Iterable[Object]) -> str:
    """The newest export that the attempts of the server's run report; "" if none does."""
    found = [
        (int(export["version"]), str(attempt["status"]["run"].get("runId", "")))
        for attempt in attempts
        if attempt.get("status", {}).get("run", {}).get("name") == run_name(server["spec"]["model"]["run"])
        for export in attempt["status"].get("exports", ())
    ]
    return ":".join(map(str, max(found))) if found else ""


def known_export(server: Object) -> Export | None:
    """The export that spec.rollback names, if this server has had it."""
    wanted = server["spec"].get("rollback", {}).get("toVersion")
    versions = server.get("status", {}).get("versions", ())
    return next((Export.of(entry) for entry in versions if entry["version"] == wanted), None)


def answer_of(pod: Object | None) -> Answer | None:
    """What a finished pod answered; None while it runs or waits."""
    if pod is None or pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
        return None
    ended = [
        status["state"]["terminated"]
        for status in pod["status"].get("containerStatuses", ())
        if "terminated" in status.get("state", {})
    ]
    text = str(ended[0].get("message", "")) if ended else ""
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if isinstance(data, dict) and pod["status"]["phase"] == "Succeeded":
        return Answer(found=data)
    if isinstance(data, dict) and "reason" in data:
        said = " ".join(part for part in (data.get("message", ""), data.get("hint", "")) if part)
        return Answer(reason=data["reason"], message=said)
    why = text or pod["status"].get("message") or pod["status"].get("reason") or "it ended without an answer"
    return Answer(reason="LookupFailed", message=f"the pod {pod['metadata']['name']} failed: {why}"[:1024])
