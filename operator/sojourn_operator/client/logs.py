"""Logs of a job's pods: from the node while the pod exists, else from the run's folder in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sojourn.errors import NotFound
from sojourn_operator.client.job import Job
from sojourn_operator.client.kept_logs import kept_log
from sojourn_operator.resources import PODS
from sojourn_operator.runtime.objects import Object
from sojourn_operator.runtime.port import Missing


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which log. `attempt` None is the newest, `pod` "" the head, `tail` None the whole."""

    attempt: int | None = None
    pod: str = ""
    follow: bool = False
    tail: int | None = None


def read_log(job: Job, query: LogQuery) -> Iterator[bytes]:
    """Pieces of the log.

    Raises:
        NotFound: there is no such attempt or pod, or nobody kept its log.
    """
    attempt = _attempt(job, query.attempt)
    pod = query.pod or _head(job, attempt)
    client = job.client
    for _ in client.looks(None, pod):
        found = client.port.get(PODS, client.namespace, pod) if pod else None
        if found is None:
            break
        try:
            yield from client.pods.log(client.namespace, pod, follow=query.follow, tail=query.tail)
            return
        except Missing as error:
            phase = found.get("status", {}).get("phase", "Pending")
            if phase not in ("Pending", "Running"):
                break
            if not query.follow:
                hint = f"--follow waits for it; `sojourn status {job.name}` shows what it waits for."
                raise NotFound(f"pod {pod} is {phase}, and has written nothing yet", hint=hint) from error
    data = kept_log(job, attempt, pod)
    yield data if query.tail is None else _last(data, query.tail)


def _attempt(job: Job, number: int | None) -> Object:
    attempts = job.attempts()
    if not attempts:
        raise NotFound(
            f"TrainingJob {job.name} has made no attempt yet, so there is no log",
            hint=f"`sojourn status {job.name}` shows what it waits for.",
        )
    if number is None:
        return attempts[-1]
    for attempt in attempts:
        if attempt["spec"]["number"] == number:
            return attempt
    known = ", ".join(str(attempt["spec"]["number"]) for attempt in attempts)
    raise NotFound(f"TrainingJob {job.name} has no attempt {number}", hint=f"It has: {known}.")


def _head(job: Job, attempt: Object) -> str:
    """The head pod that reported, else the first pod of the attempt that there is."""
    status: Mapping[str, Any] = attempt.get("status", {})
    if name := status.get("head", {}).get("pod"):
        return str(name)
    pods = job.client.all(PODS, job.client.namespace, f"sojourn.dev/attempt={attempt['metadata']['name']}")
    by_index = sorted(
        pods, key=lambda pod: int(pod["metadata"]["labels"].get("batch.kubernetes.io/job-completion-index", 0))
    )
    return str(by_index[0]["metadata"]["name"]) if by_index else ""


def _last(data: bytes, lines: int) -> bytes:
    return b"".join(data.splitlines(keepends=True)[-lines:]) if lines else b""
