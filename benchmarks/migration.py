"""A running job carried from one test cluster to the other over 1 Gbit/s: a Cold migration, and what people do by hand.

`make bench-migration`. By hand: delete the Job, whose pod saves with CheckpointManager as it ends; rclone; a Job there.
Rounds alternate. Downtime is from the last step at the source to the first at the target.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from report import summary, table, write

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from e2e.clusters import images, namespaces, testbed  # noqa: E402
from e2e.clusters.access import Cluster, restricted_pod  # noqa: E402
from e2e.clusters.layout import EAST, WEST  # noqa: E402
from e2e.clusters.network import Link  # noqa: E402
from e2e.clusters.programs import build_programs  # noqa: E402
from e2e.clusters.volumes import claim, store_folder  # noqa: E402
from e2e.journeys import Place, two_places  # noqa: E402

RATE_MBIT = 1000
PORT = 8079
TRAINED_STEPS = 20
PATIENCE = 300.0
RESOURCES = {"cpu": "800m", "memory": "4Gi"}
MOUNTS = [{"name": "marks", "mountPath": "/marks"}]
VOLUMES = [{"name": "marks", "persistentVolumeClaim": {"claimName": "marks"}}]
HAND = ("save, end of the pod", "rclone", "new pod to first step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=300, help="of state: weights and Adam's slots")
    found = parser.parse_args()
    install_rclone()
    ours: list[dict[str, float]] = []
    hand: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as logs, testbed.in_use():
        kubectl = build_programs()["kubectl"]
        east, west = Cluster.of_site(EAST, kubectl), Cluster.of_site(WEST, kubectl)
        pushed, link = images.push_images(), Link()
        with two_places(east, west, pushed, Path(logs)) as places:
            for place in places:
                prepare(place)
            link.shape(rate_mbit=RATE_MBIT)
            try:
                for number in range(found.rounds):
                    ours.append(migrated(places, f"ours-{number}", found.megabytes))
                    hand.append(by_hand(places, f"hand-{number}", found.megabytes, pushed["trainer"]))
                    print(f"round {number + 1}: {ours[-1]} {hand[-1]}", file=sys.stderr, flush=True)
            finally:
                link.reset()
    write("migration", page(ours, hand, found.megabytes), {"ours": ours, "by hand": hand})


def install_rclone() -> None:
    """The peer, from the distribution."""
    if shutil.which("rclone") is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "rclone"], check=True, stdout=sys.stderr)


def prepare(place: Place) -> None:
    """The code, and the claims that both sides use."""
    code = {"name": "code", "namespace": place.namespace}
    data = {"tasks.py": (HERE / "migration_task.py").read_text()}
    place.cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": code, "data": data},
        *claim(place.namespace, "marks", folder_of(place, "marks")),
        *claim(place.namespace, "hand", folder_of(place, "hand")),
    )


def folder_of(place: Place, name: str) -> Path:
    """The folder of a claim of the benchmark's own."""
    return store_folder(f"{place.namespace}-{place.cluster.name}-{name}")


def migrated(places: tuple[Place, Place], name: str, megabytes: int) -> dict[str, float]:
    """A Cold migration of a job that trains."""
    here, there = places
    clear(places)
    metadata = {"name": name, "namespace": here.namespace}
    spec = job_spec(megabytes)
    here.cluster.apply(
        {"apiVersion": "sojourn.dev/v1alpha1", "kind": "TrainingJob", "metadata": metadata, "spec": spec}
    )
    trained(here)
    begun = time.time()
    target = {"cluster": here.other, "namespace": there.namespace}
    here.migrate(name, mode="Cold", source={"trainingJob": name}, target=target, resume={})
    first = first_step(there)
    status = here.until(name, lambda found: found.get("phase") in ("Complete", "Failed"), "the migration ends")
    assert status["phase"] == "Complete", json.dumps(status)
    last = steps(here)[-1]
    assert status["resumedStep"] == status["committedStep"]
    attempt = there.cluster.get("trainingattempt", f"{name}-1", there.namespace)
    launch = attempt["status"].get("launch", [])
    for place in (there, here):
        place.cluster.kubectl("delete", "migration", name, f"--namespace={place.namespace}", "--ignore-not-found")
        place.job(name).kubectl("delete", "trainingjob", name, "--timeout=120s", "--ignore-not-found")
    pods = seconds_of(attempt["metadata"]["creationTimestamp"])
    parts = {"stop to target's pods": pods - last, "target's pods to first step": first - pods}
    parts |= {f"launch {entry['phase']}": float(entry["seconds"]) for entry in launch}
    stages = {f"stage {stage}": float(seconds) for stage, seconds in status["seconds"].items()}
    return {"downtime": first - last, "before": last - begun, "bytes": float(status["bytes"]), **stages, **parts}


def by_hand(places: tuple[Place, Place], name: str, megabytes: int, image: str) -> dict[str, float]:
    """The same by a Job, rclone, and a Job."""
    here, there = places
    clear(places)
    job = plain_job(name, image, megabytes)
    here.cluster.apply(at(here, job))
    trained(here)
    source, target = folder_of(here, "hand"), folder_of(there, "hand")
    with served(source) as address:
        delete = ("delete", "job", name, f"--namespace={here.namespace}", "--cascade=foreground", "--timeout=120s")
        here.cluster.kubectl(*delete)
        ended = time.time()
        last = steps(here)[-1]
        in_network("west", "rclone", "copy", ":webdav:", str(target), f"--webdav-url={address}", *RCLONE)
        copied = time.time()
    there.cluster.apply(at(there, job))
    first = first_step(there)
    there.cluster.kubectl(*delete[:3], f"--namespace={there.namespace}", *delete[4:])
    parts = dict(zip(HAND, (ended - last, copied - ended, first - copied), strict=True))
    return {"downtime": first - last, "bytes": float(size(source)), **parts}


RCLONE = ("--transfers=8", "--multi-thread-streams=8", "--multi-thread-cutoff=32M", "--config=/dev/null")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder under an address of east's end of the link, unencrypted."""
    address = f"{EAST.wan}:{PORT}"
    command = ["rclone", "serve", "webdav", "--addr", address, "--read-only", "--config=/dev/null", str(folder)]
    pid = namespaces.first_process(EAST)
    started = subprocess.Popen(["nsenter", f"--target={pid}", "--net", "--", *command], stderr=subprocess.DEVNULL)
    try:
        yield f"http://{address}"
    finally:
        started.terminate()
        started.wait(10)


def in_network(site: str, *command: str) -> None:
    """Run a command of this machine on a cluster's network."""
    pid = namespaces.first_process({"east": EAST, "west": WEST}[site])
    assert pid is not None
    namespaces.run_in_network(pid, *command)


def job_spec(megabytes: int) -> dict[str, Any]:
    """Our job: one pod, a checkpoint now and then."""
    return {
        "task": {
            "entrypoint": "tasks:build",
            "code": {"configMap": {"name": "code"}},
            "args": {"megabytes": megabytes},
        },
        "workers": {"resources": RESOURCES},
        "data": {"source": {"builtin": {"name": "digits"}}, "normalize": "MinMax"},
        "training": {"globalBatchSize": 32, "steps": 100000, "seed": 7},
        "checkpoint": {"store": {"name": "runs"}, "every": {"seconds": 20}},
        "podTemplate": {"sharedMemory": "512Mi", "volumes": VOLUMES, "volumeMounts": MOUNTS},
        "terminationGracePeriodSeconds": 60,
    }


def plain_job(name: str, image: str, megabytes: int) -> dict[str, Any]:
    """The Job of somebody without Sojourn, in the same image."""
    container = {
        "resources": {"requests": RESOURCES, "limits": {"memory": "4Gi"}},
        "env": [{"name": "TF_CPP_MIN_LOG_LEVEL", "value": "3"}],
        "volumeMounts": [
            *MOUNTS,
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "hand", "mountPath": "/store"},
            {"name": "code", "mountPath": "/code"},
        ],
    }
    volumes = [
        *VOLUMES,
        {"name": "tmp", "emptyDir": {}},
        {"name": "hand", "persistentVolumeClaim": {"claimName": "hand"}},
        {"name": "code", "configMap": {"name": "code"}},
    ]
    command = ["python", "/code/tasks.py", str(megabytes)]
    extra = {"volumes": volumes, "terminationGracePeriodSeconds": 60}
    pod = restricted_pod(name, image, command, container=container, spec=extra)
    template = {"metadata": {"labels": {"app": name}}, "spec": pod["spec"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}


def at(place: Place, obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object in a place's namespace."""
    return {**obj, "metadata": {**obj["metadata"], "namespace": place.namespace}}


def clear(places: Sequence[Place]) -> None:
    """Forget all steps, and what was saved by hand."""
    for place in places:
        (folder_of(place, "marks") / "steps").unlink(missing_ok=True)
        for file in folder_of(place, "hand").iterdir():
            file.unlink()


def steps(place: Place) -> list[float]:
    """When the steps at a place ended."""
    try:
        lines = (folder_of(place, "marks") / "steps").read_text().split("\n")[:-1]
    except FileNotFoundError:
        return []
    return [float(line) for line in lines]


def trained(place: Place) -> None:
    """Wait until the job has trained, and saved more than once."""
    until(lambda: len(found := steps(place)) > TRAINED_STEPS and found[-1] - found[0] > 30, "it trains", place)


def first_step(place: Place) -> float:
    """Wait for the first step at a place."""
    until(lambda: bool(steps(place)), "the first step there", place)
    return steps(place)[0]


def until(wanted: Callable[[], bool], what: str, place: Place) -> None:
    """Wait.

    Raises:
        TimeoutError: with what a person would look at.
    """
    deadline = time.monotonic() + PATIENCE
    while not wanted():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {PATIENCE:g} s\n{place.story()}")
        time.sleep(0.2)


def seconds_of(time_text: str) -> float:
    """A time of Kubernetes, whole seconds, since the epoch."""
    return datetime.fromisoformat(time_text).timestamp()


def size(folder: Path) -> int:
    """Bytes in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def page(ours: Sequence[Mapping[str, float]], hand: Sequence[Mapping[str, float]], megabytes: int) -> str:
    """The tables."""
    ratios = [theirs["downtime"] / mine["downtime"] for mine, theirs in zip(ours, hand, strict=True)]
    head = f"{megabytes} MB of state, {RATE_MBIT} Mbit/s, {len(ours)} rounds, load {os.getloadavg()[1]:.1f}; seconds"

    def rows(runs: Sequence[Mapping[str, float]]) -> list[list[str]]:
        # A stage that a round did not have took no time there.
        names = dict.fromkeys(name for run in runs for name in run)
        scale = {name: 1e6 if name == "bytes" else 1.0 for name in names}
        return [
            ["megabytes" if name == "bytes" else name, summary([run.get(name, 0.0) / scale[name] for run in runs], 1)]
            for name in names
        ]

    return "\n\n".join(
        (
            head,
            table(("Cold migration", "median (lowest to highest)"), rows(ours)),
            table(("by hand", "median (lowest to highest)"), rows(hand)),
            f"Downtime by hand / Cold: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}).",
        )
    )


if __name__ == "__main__":
    main()
