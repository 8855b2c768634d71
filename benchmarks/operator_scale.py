"""The operator with 1,000 TrainingJobs through their whole life, against a real kube-apiserver, without nodes.

`make bench-operator`. Three runs, each with a control plane of its own. Some jobs go through their lives as fast as
they can, for throughput. Then 100 and 1,000 train at once, and the last 100 of them go through each stage of their
lives at a steady pace, for latency, requests and memory.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from operator_plane import Plane, control_plane, free_port, process
from operator_pods import NAMESPACE, REPORT_SECONDS, Latencies, PodsSide
from report import table, write
from sojourn_operator.resources import CHECKPOINT_STORES, TRAINING_JOBS
from sojourn_operator.runtime.api import ApiServer
from sojourn_operator.runtime.conditions import is_true

PATIENCE = 300.0
# Jobs of the crowd that start together.
AT_ONCE = 16
STAGES = {
    "created": "job is created: its status names an attempt",
    "pods": "job is created: the Job of its pods is there",
    "running": "head reports that it trains: the job is Running",
    "commit": "head reports a commit: the Checkpoint is there",
    "success": "head reports success: the job is Complete",
    "ttl": "time after the end is over: the job is gone",
}
# What is asked between two stages, other than by watches and for the Lease.
Requests = Counter[tuple[str, str]]


@dataclass
class Run:
    """What one run has shown.

    Args:
        jobs: that are there at once.
        measured: of them, those whose changes count.
        latencies: seconds by stage.
        requests: of the operator, by stage.
        megabytes: the operator's highest resident size.
        cpu: its processor seconds by stage.
        load: load averages of the machine at begin and end.
    """

    jobs: int
    measured: int
    latencies: dict[str, list[float]] = field(default_factory=dict)
    requests: dict[str, Requests] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    megabytes: float = 0.0
    load: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Watched:
    """The operator's process, seen from outside."""

    def __init__(self, operator: Popen[bytes], port: int) -> None:
        self._folder = Path("/proc", str(operator.pid))
        self._metrics = f"http://127.0.0.1:{port}/metrics"

    def requests(self) -> Requests:
        """Requests so far by verb and kind, without those of watches and elections."""
        with urllib.request.urlopen(self._metrics, timeout=30) as answer:
            text = answer.read().decode()
        found: Requests = Counter()
        for labels, value in re.findall(r"^sojourn_operator_api_requests_total{(.*?)} (\S+)$", text, re.MULTILINE):
            named = dict(re.findall(r'(\w+)="(.*?)"', labels))
            if named["verb"] not in ("watch", "list") and named["resource"] != "leases":
                found[named["verb"], named["resource"]] += int(float(value))
        return found

    def cpu(self) -> float:
        """Processor seconds so far."""
        parts = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> float:
        """The highest resident size so far, in MB (10^6 bytes)."""
        (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", (self._folder / "status").read_text())
        return int(kibibytes) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--few", type=int, default=100, help="jobs of the smaller run, 0 for none")
    parser.add_argument("--measured", type=int, default=100, help="jobs whose changes are measured")
    parser.add_argument("--pace", type=float, default=2.0, help="changes a second, from outside, in each stage")
    parser.add_argument("--qps", type=float, default=300.0)
    parser.add_argument("--hurry", type=int, default=100, help="jobs of the run for throughput, 0 for none")
    found = parser.parse_args()
    # A benchmark that is told to stop takes its control plane along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    runs: dict[str, Run] = {}
    for name, jobs in (("hurry", found.hurry), ("few", found.few), ("all", found.jobs)):
        if jobs:
            runs[name] = once(
                jobs, jobs if name == "hurry" else min(jobs, found.measured), found, hurry=name == "hurry"
            )
            # What was measured is kept, should a later run fail.
            write(
                "operator", page(runs, found), {key: vars(run) | {"requests": flat(run)} for key, run in runs.items()}
            )


def once(jobs: int, measured: int, found: argparse.Namespace, *, hurry: bool) -> Run:
    """A control plane and an operator of their own, and so many jobs through their lives."""
    with (
        tempfile.TemporaryDirectory() as folder,
        control_plane(Path(folder)) as plane,
        operator(plane, found.qps) as watched,
    ):
        return live(plane.server, watched, Run(jobs, measured), None if hurry else found.pace)


@contextmanager
def operator(plane: Plane, qps: float) -> Iterator[Watched]:
    """The operator for the whole cluster, with the pace of its requests said and all else as it comes."""
    port = free_port()
    flags = {
        "kubeconfig": str(plane.kubeconfig),
        "operator-namespace": "default",
        "qps": str(qps),
        "burst": str(int(2 * qps)),
        "metrics-address": f"127.0.0.1:{port}",
        "health-address": "",
    }
    command = [sys.executable, "-m", "sojourn_operator", *(f"--{name}={value}" for name, value in flags.items())]
    with process(command, plane.folder / "operator.log") as started:
        try:
            yield Watched(started, port)
        except BaseException:
            sys.stderr.write((plane.folder / "operator.log").read_text()[-3000:])
            raise


def live(server: ApiServer, watched: Watched, run: Run, pace: float | None) -> Run:
    """Jobs from creation to the end; at a pace, or (None) each as fast as the operator lets it."""
    latencies = Latencies()
    run.load.append(os.getloadavg()[0])
    pods = PodsSide(server, latencies, hurry=pace is None)
    prepare(server, pods)
    names = [f"job-{number:04}" for number in range(run.jobs)]
    crowd, measured = names[: -run.measured], names[-run.measured :]

    def create(name: str) -> None:
        latencies.begin("created", name)
        latencies.begin("pods", name)
        server.create(training_job(name))

    def stage(name: str, until: str, change: Callable[[str], None]) -> None:
        requests, cpu, begun = watched.requests(), watched.cpu(), time.monotonic()
        paced(measured, pace, change)
        latencies.wait(until, run.measured, PATIENCE)
        run.seconds[name] = time.monotonic() - begun
        settle(watched)
        run.requests[name] = watched.requests() - requests
        run.cpu[name] = watched.cpu() - cpu

    try:
        if pace is None:
            stage("life", "ttl", create)
        else:
            begun = time.monotonic()
            for number, name in enumerate(crowd):
                latencies.wait("running", number - AT_ONCE, PATIENCE)
                create(name)
            latencies.wait("running", len(crowd), PATIENCE)
            run.seconds["crowd"] = time.monotonic() - begun
            settle(watched)
            latencies.seconds.clear()
            stage("start", "running", create)
            train(run, watched, pods)
            stage("commit", "commit", pods.commit)
            stage("success", "success", pods.complete)
            stage("ttl", "ttl", pods.end_of_life)
    finally:
        pods.stop()
        print("\n".join(pods.errors[:5]), file=sys.stderr)
    run.latencies, run.megabytes, run.errors = dict(latencies.seconds), watched.peak(), pods.errors
    run.load.append(os.getloadavg()[0])
    return run


def prepare(server: ApiServer, pods: PodsSide) -> None:
    """The namespace, and a store that the operator has found ready."""
    server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    pods.start()
    store = {"apiVersion": CHECKPOINT_STORES.api_version, "kind": CHECKPOINT_STORES.kind}
    metadata = {"name": "runs", "namespace": NAMESPACE}
    server.create({**store, "metadata": metadata, "spec": {"uri": "s3://bench/runs"}})
    until(lambda: is_true(server.get(CHECKPOINT_STORES, NAMESPACE, "runs") or {}, "Ready"), "the store is ready", 60)


def train(run: Run, watched: Watched, pods: PodsSide) -> None:
    """All jobs train and report progress, and nothing else happens."""
    pods.reporting = True
    time.sleep(REPORT_SECONDS)
    requests, cpu = watched.requests(), watched.cpu()
    time.sleep(2 * REPORT_SECONDS)
    pods.reporting = False
    run.seconds["train"] = 2 * REPORT_SECONDS
    run.requests["train"] = watched.requests() - requests
    run.cpu["train"] = watched.cpu() - cpu


def paced(names: Sequence[str], pace: float | None, change: Callable[[str], None]) -> None:
    """One change after another; a slow answer does not put off the next ones."""
    begun = time.monotonic()
    for number, name in enumerate(names):
        if pace is not None and (wait := begun + number / pace - time.monotonic()) > 0:
            time.sleep(wait)
        change(name)


def settle(watched: Watched) -> None:
    """Until the operator writes nothing but progress for a second."""

    def quiet() -> bool:
        before = watched.requests()
        time.sleep(1)
        return not {key for key in watched.requests() - before if key != ("patch_status", TRAINING_JOBS.plural)}

    until(quiet, "the operator is done", 120)


def until(wanted: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait.

    Raises:
        TimeoutError: not in time.
    """
    deadline = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def training_job(name: str) -> dict[str, object]:
    """Two pods that nobody schedules."""
    return {
        "apiVersion": TRAINING_JOBS.api_version,
        "kind": TRAINING_JOBS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "strategy": "MultiWorkerMirroredStrategy",
            "workers": {"replicas": 2, "resources": {"cpu": "1", "memory": "3Gi"}},
            "task": {"entrypoint": "sojourn_trainer.tasks.mlp:build"},
            "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
            "training": {"globalBatchSize": 64, "steps": 1000, "seed": 7},
            "checkpoint": {"store": {"name": "runs"}, "every": {"seconds": 30}},
        },
    }


def flat(run: Run) -> dict[str, dict[str, int]]:
    """Requests with keys that JSON knows."""
    return {stage: {" ".join(key): count for key, count in found.items()} for stage, found in run.requests.items()}


def page(runs: dict[str, Run], found: argparse.Namespace) -> str:
    """The tables."""
    parts = [f"Pace {found.pace:g} changes a second, {found.qps:g} requests a second at most."]
    slow = {name: run for name, run in runs.items() if name != "hurry"}
    for run in slow.values():
        rows = [
            [text, *(f"{1000 * value:.0f}" for value in quantiles(run.latencies[stage]))]
            for stage, text in STAGES.items()
        ]
        parts.append(
            f"{run.jobs} jobs, {run.measured} measured; load {run.load[0]:.1f} to {run.load[1]:.1f}; milliseconds"
        )
        parts.append(table(("from: to", "p50", "p99", "most"), rows))
    stages = [stage for stage in next(iter(slow.values())).requests if stage != "train"] if slow else []
    for stage in stages:
        kinds = sorted({key for run in slow.values() for key in run.requests[stage]})
        rows = [
            [*key, *(f"{run.requests[stage][key] / run.measured:.2f}" for run in slow.values())]
            for key in kinds
            if any(run.requests[stage][key] / run.measured >= 0.005 for run in slow.values())
        ]
        rows.append(["all", "", *(f"{run.requests[stage].total() / run.measured:.2f}" for run in slow.values())])
        parts += [
            f"Requests for each job: {stage}",
            table(("verb", "kind", *(str(r.jobs) for r in slow.values())), rows),
        ]
    rows = [
        [name, str(run.jobs), f"{run.megabytes:.0f}", *(f"{1000 * run.cpu[s] / run.measured:.1f}" for s in stages)]
        for name, run in slow.items()
    ]
    parts.append(table(("run", "jobs", "peak MB", *(f"{stage}: ms of processor per job" for stage in stages)), rows))
    for run in slow.values():
        rate = run.requests["train"].total() / run.seconds["train"]
        share = 100 * run.cpu["train"] / run.seconds["train"]
        parts.append(f"While {run.jobs} jobs train: {rate:.1f} requests a second, {share:.0f} % of a core.")
    if "hurry" in runs:
        run = runs["hurry"]
        parts.append(
            f"{run.jobs} jobs at once through their lives: {run.jobs / run.seconds['life']:.1f} jobs a second, "
            f"{run.requests['life'].total() / run.measured:.1f} requests each, peak {run.megabytes:.0f} MB."
        )
    return "\n\n".join(parts)


def quantiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 99
    return cuts[49], cuts[98], max(seconds)


if __name__ == "__main__":
    main()
