"""What a change of a job costs, however many others there are."""

from __future__ import annotations

from collections import Counter

from helpers.jobs import NAMESPACE, World
from helpers.manifests import JOB
from sojourn_operator.resources import TRAINING_JOBS

FEW, MANY = 4, 20


class Neighbour(World):
    """A job in the world of another one."""

    def __init__(self, first: World, number: int) -> None:
        self.harness = first.harness
        self.name = f"digits-{number:02}"
        self.harness.create({**JOB, "metadata": {"name": self.name, "namespace": NAMESPACE}})


def lives(jobs: int) -> dict[str, dict[str, float]]:
    """Requests for each job by stage, verb and kind, of jobs that go through their lives together."""
    first = World(JOB)
    first.start()
    writes, reads = first.harness.port.writes, count_reads(first)
    seen: dict[str, dict[str, float]] = {}
    crowd: list[World] = []

    def note(stage: str, before: int) -> None:
        # "create Job team/digits-01-1": whose it was does not matter.
        kinds = Counter(" ".join(write.split()[:2]) for write in writes[before:]) + Counter(reads)
        seen[stage] = {kind: count / jobs for kind, count in kinds.items()}
        reads.clear()

    for stage in ("create", "start", "commit", "complete", "ttl"):
        before = len(writes)
        for number in range(jobs if stage == "create" else 0):
            crowd.append(Neighbour(first, number))
            first.harness.settle()
        for job in crowd:
            # What merely progresses is written every ten seconds: now it is due, however long the others took.
            first.harness.advance(11)
            match stage:
                case "start":
                    job.start()
                case "commit":
                    job.commit(40)
                case "complete":
                    job.complete()
                case "ttl":
                    job.patch(ttlSecondsAfterFinished=0)
        first.harness.advance(11)
        note(stage, before)
    assert [job["metadata"]["name"] for job in first.harness.world.list(TRAINING_JOBS).items] == ["digits"]
    return seen


def count_reads(world: World) -> Counter[str]:
    """Gets and lists from now on; the caches are filled already."""
    reads: Counter[str] = Counter()
    port = world.harness.port
    for verb in ("get", "list"):
        ask = getattr(port, verb)

        def counted(resource, *place, verb=verb, ask=ask):  # type: ignore[no-untyped-def]
            reads[f"{verb} {resource.kind}"] += 1
            return ask(resource, *place)

        setattr(port, verb, counted)
    return reads


def test_requests_for_a_job_do_not_grow_with_the_number_of_jobs() -> None:
    few = lives(FEW)
    assert sum(few["start"].values()) > 0
    assert lives(MANY) == few
