"""How objects of a cluster look in a terminal: tables, and a job's tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from sojourn.client.tables import age
from sojourn.progress import words
from sojourn_operator.runtime.clock import parse_rfc3339
from sojourn_operator.runtime.conditions import get_condition, reason_of

if TYPE_CHECKING:
    from sojourn_operator.client.tree import JobTree

Object = Mapping[str, Any]
JOB_HEADS = ("NAMESPACE", "NAME", "PHASE", "STEP", "OF", "LEFT", "WORKERS", "LAST COMMIT", "AGE")
JOB_NUMBERS = ("STEP", "OF", "LEFT")
CLUSTER_HEADS = ("NAME", "READY", "REASON", "KUBERNETES", "OPERATOR", "LAST SEEN", "SERVER")
_COLORS = {
    "Running": "green",
    "Complete": "green",
    "Succeeded": "green",
    "Failed": "red",
    "Lost": "red",
    "OwnedElsewhere": "yellow",
    "Suspended": "yellow",
}


def print_manifests(objects: Sequence[Object]) -> None:
    """As YAML documents."""
    import yaml

    click.echo(yaml.safe_dump_all([dict(obj) for obj in objects], sort_keys=False, allow_unicode=True), nl=False)


def job_rows(jobs: Sequence[Object], now: datetime) -> Iterator[tuple[str, ...]]:
    """A line per TrainingJob."""
    for job in jobs:
        status = job.get("status", {})
        workers = status.get("workers", {})
        commit = status.get("lastCommit")
        yield (
            job["metadata"]["namespace"],
            job["metadata"]["name"],
            phase(job),
            words.count(status["step"]) if "step" in status else words.UNKNOWN,
            words.count(status["totalSteps"]) if "totalSteps" in status else words.UNKNOWN,
            words.whole_seconds(status.get("etaSeconds")),
            f"{workers.get('ready', 0)}/{workers.get('wanted', 0)}" if workers else words.UNKNOWN,
            f"step {words.count(commit['step'])}, {_ago(commit['time'], now)}" if commit else words.UNKNOWN,
            _age(job, now),
        )


def cluster_rows(clusters: Sequence[Object], now: datetime) -> Iterator[tuple[str, ...]]:
    """A line per RemoteCluster."""
    for cluster in clusters:
        status = cluster.get("status", {})
        ready = get_condition(cluster, "Ready") or {}
        yield (
            cluster["metadata"]["name"],
            ready.get("status", "Unknown"),
            ready.get("reason", ""),
            status.get("version", words.UNKNOWN),
            status.get("operatorVersion", words.UNKNOWN),
            _ago(status["lastSeenTime"], now) if "lastSeenTime" in status else words.UNKNOWN,
            status.get("server", words.UNKNOWN),
        )


def phase(obj: Object) -> str:
    """Its phase, and while it waits the reason why."""
    found = str(obj.get("status", {}).get("phase", "Pending"))
    reason = reason_of(obj, "Ready")
    return f"{found} ({reason})" if found == "Pending" and reason else found


def print_tree(tree: JobTree, now: datetime) -> None:
    """The job, then its attempts with their pods, its checkpoints, migrations and servers."""
    job = tree.training_job
    status = job.get("status", {})
    click.echo(f"{click.style('TrainingJob', bold=True)} {_named(job)}  {_colored(phase(job))}{_progress(status)}")
    for line in _conditions(job):
        click.echo(f"│   {line}")
    branches = [*_attempts(tree, now), *_checkpoints(tree, now), *_migrations(tree), *_servers(tree)]
    for index, (head, leaves) in enumerate(branches):
        last = index == len(branches) - 1
        click.echo(f"{'└──' if last else '├──'} {head}")
        for number, leaf in enumerate(leaves):
            mark = "└──" if number == len(leaves) - 1 else "├──"
            click.echo(f"{'    ' if last else '│   '}{mark} {leaf}")


_Branch = tuple[str, list[str]]


def _attempts(tree: JobTree, now: datetime) -> Iterator[_Branch]:
    for attempt in tree.attempts:
        status = attempt.get("status", {})
        outcome = status.get("outcome", {})
        text = f"TrainingAttempt {attempt['metadata']['name']}  {_colored(phase(attempt))}"
        text += f", step {words.count(status['step'])}" if "step" in status else ""
        text += f", {_age(attempt, now)} old" if "completionTime" not in status else ""
        text += f": {outcome['message']}" if outcome.get("message") and status.get("phase") != "Succeeded" else ""
        head = status.get("head", {}).get("pod")
        yield text, [_pod(pod, head) for pod in tree.pods_of(attempt)]


def _pod(pod: Object, head: str | None) -> str:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    role = " (head)" if name == head else ""
    waiting = [
        entry["state"]["waiting"].get("reason", "")
        for entry in status.get("containerStatuses", ())
        if "waiting" in entry.get("state", {})
    ]
    why = f" ({waiting[0]})" if waiting and waiting[0] else ""
    node = f" on {pod['spec']['nodeName']}" if pod.get("spec", {}).get("nodeName") else ""
    return f"Pod {name}{role}  {_colored(str(status.get('phase', 'Pending')))}{why}{node}"


def _checkpoints(tree: JobTree, now: datetime) -> Iterator[_Branch]:
    for checkpoint in tree.checkpoints:
        spec = checkpoint["spec"]
        parts = [f"step {words.count(spec['step'])}", words.size(spec.get("bytes", 0))]
        parts += [words.metrics(spec["metrics"])] if spec.get("metrics") else []
        parts += ["best"] if checkpoint.get("status", {}).get("best") else []
        parts += [_ago(spec["time"], now)] if "time" in spec else []
        yield f"Checkpoint {checkpoint['metadata']['name']}  {', '.join(parts)}", []


def _migrations(tree: JobTree) -> Iterator[_Branch]:
    for migration in tree.migrations:
        yield (
            migration_line(migration),
            [stage_line(stage) for stage in migration.get("status", {}).get("pipeline", ())],
        )


def migration_line(migration: Object) -> str:
    """A Migration in one line."""
    target = migration["spec"].get("target", {})
    where = target.get("cluster") or "this cluster"
    return f"Migration {migration['metadata']['name']}  to {where}  {_colored(phase(migration))}"


def stage_line(stage: Object) -> str:
    """A stage of a pipeline in one line."""
    text = f"{stage['name']}  {_colored(stage.get('phase', 'Pending'))}"
    progress = stage.get("progress")
    if progress and progress.get("total"):
        unit = progress.get("unit", "")
        amount = words.size if unit == "bytes" else words.count
        text += f"  {amount(progress.get('done', 0))} of {amount(progress['total'])}"
        text += f" {unit}" if unit and unit != "bytes" else ""
    return f"{text}: {stage['message']}" if stage.get("message") else text


def _servers(tree: JobTree) -> Iterator[_Branch]:
    for server in tree.model_servers:
        status = server.get("status", {})
        text = f"ModelServer {server['metadata']['name']}  version {status.get('activeVersion', words.UNKNOWN)}"
        text += f", {status.get('readyReplicas', 0)} of {server['spec'].get('replicas', 1)} replicas ready"
        yield text + (f", {status['url']}" if status.get("url") else ""), []


def _conditions(job: Object) -> Iterator[str]:
    """What a person has to know when a job does not simply run or has not simply completed."""
    status = job.get("status", {})
    if status.get("phase") in ("Running", "Complete"):
        return
    for kind in ("Failed", "Ready"):
        said = get_condition(job, kind)
        if said and said.get("message") and (kind != "Failed" or said["status"] == "True"):
            yield f"{said['reason']}: {said['message']}"
            return


def _progress(status: Object) -> str:
    parts = []
    if status.get("totalSteps"):
        parts.append(f"step {words.count(status.get('step', 0))} of {words.count(status['totalSteps'])}")
    if status.get("metrics"):
        parts.append(words.metrics(status["metrics"]))
    if status.get("etaSeconds") is not None and status.get("phase") == "Running":
        parts.append(f"{words.whole_seconds(status['etaSeconds'])} left")
    return "".join(f", {part}" for part in parts)


def _named(obj: Object) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _colored(text: str) -> str:
    return click.style(text, fg=_COLORS.get(text.partition(" ")[0]))


def _age(obj: Object, now: datetime) -> str:
    return age(parse_rfc3339(obj["metadata"]["creationTimestamp"]), now)


def _ago(time: str, now: datetime) -> str:
    return f"{age(parse_rfc3339(time), now)} ago"
