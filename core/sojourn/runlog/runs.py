"""Runs by name: where they lie in a store, which there are, and which one a name means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sojourn.errors import InvalidInput, NotFound, SojournError
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Created
from sojourn.runlog.state import RunState
from sojourn.store.base import Store

LOCAL = "local"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_RUN_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_FOLDER = re.compile(rf"(?P<name>{_NAME.pattern})-(?P<id>{_RUN_ID})")


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run found in a store; `state` is None and `problem` says why if its log could not be read."""

    prefix: str
    namespace: str
    name: str
    run_id: str
    state: RunState | None
    problem: SojournError | None = None


def run_prefix(name: str, run_id: str, namespace: str = LOCAL) -> str:
    """Prefix of a run in its store. Raises InvalidInput for names that Kubernetes would not take."""
    check_name(name)
    if not _NAMESPACE.fullmatch(namespace):
        raise InvalidInput(f"{namespace!r} is not a namespace", hint="Up to 63 of a-z, 0-9 and - are.")
    if not re.fullmatch(_RUN_ID, run_id):
        raise InvalidInput(f"{run_id!r} is not a run id (a UUID in lower case)")
    return f"{namespace}/{name}-{run_id}"


def check_name(name: str) -> str:
    """Return `name` if a run may have it, else raise InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be the name of a run",
            hint="Up to 40 of a-z, 0-9 and - can, with a letter or digit at both ends.",
        )
    return name


def create_run(store: Store, created: Created, env: Env | None = None) -> RunLog:
    """Begin a run under the prefix that its name, namespace and id give. Raises RunExists."""
    return RunLog.create(store, run_prefix(created.name, created.run_id, created.namespace), created, env)


def list_runs(store: Store, namespace: str | None = None, name: str | None = None) -> list[RunSummary]:
    """The runs of a store (of one namespace, of one name), oldest first; unreadable ones come last.

    A folder that has no log yet (a transfer under way) is left out.
    """
    found = list(_folders(store, namespace, name))
    with ThreadPoolExecutor(max_workers=max(1, min(store.concurrency, 8, len(found)))) as pool:
        summaries = [summary for summary in pool.map(lambda run: _summary(store, *run), found) if summary]
    return sorted(summaries, key=_age)


def find_run(store: Store, name: str, namespace: str | None = LOCAL, env: Env | None = None) -> RunLog:
    """The newest run of that name that is not fenced; a fenced one if there are only such (the caller refuses).

    `name` may also be "<name>-<runId>", which means that very run.

    Raises:
        NotFound: there is none.
        CorruptData: the log of a run of that name cannot be read.
    """
    exact = _FOLDER.fullmatch(name)
    wanted = exact["name"] if exact else check_name(name)
    runs = [run for run in list_runs(store, namespace, wanted) if not exact or run.run_id == exact["id"]]
    for run in runs:
        if run.problem:
            raise run.problem
    if not runs:
        raise NotFound(
            f"there is no run {name!r} in {store.uri}" + (f" (namespace {namespace})" if namespace else ""),
            hint="`sojourn runs` lists those of a store.",
        )
    live = [run for run in runs if run.state and not run.state.fence]
    newest = (live or runs)[-1]
    assert newest.state is not None
    return RunLog(store, newest.prefix, newest.state, env or Env())


def _folders(store: Store, namespace: str | None, name: str | None) -> Iterator[tuple[str, str, str]]:
    for space in store.list_folders() if namespace is None else [namespace]:
        for folder in store.list_folders(space):
            match = _FOLDER.fullmatch(folder)
            if match and name in (None, match["name"]):
                yield space, match["name"], match["id"]


def _summary(store: Store, namespace: str, name: str, run_id: str) -> RunSummary | None:
    prefix = f"{namespace}/{name}-{run_id}"
    try:
        state, problem = RunLog.open(store, prefix).state, None
    except NotFound:
        return None
    except SojournError as error:
        state, problem = None, error
    return RunSummary(prefix=prefix, namespace=namespace, name=name, run_id=run_id, state=state, problem=problem)


def _age(run: RunSummary) -> tuple[bool, float, str]:
    return run.state is None, run.state.created.time.timestamp() if run.state else 0.0, run.run_id
