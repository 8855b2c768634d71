"""How long a run's log takes: a commit, opening a long one, verifying it. `python benchmarks/runlog.py [STORE ...]`.

Prints one JSON line per store. A directory is measured with as many entries as asked, an object store with fewer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import uuid
from collections.abc import Callable

from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, Created
from sojourn.runlog.runs import create_run
from sojourn.runlog.verify import verify_chain
from sojourn.store.base import Store
from sojourn.store.open import open_store

KEPT = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="+", help="directories or URIs to make a run in")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of an object store")
    arguments = parser.parse_args()
    options = dict(option.split("=", 1) for option in arguments.option)
    for address in arguments.stores:
        print(json.dumps(measure(open_store(address, options), arguments.entries)), flush=True)


def measure(store: Store, entries: int) -> dict[str, object]:
    """Fill a run with commits and retirements up to so many entries, then open and verify it."""
    log = create_run(store, Created(run_id=str(uuid.uuid4()), name="bench"))
    term = log.begin_attempt("a1")
    commits = []
    while log.head.index < entries - 1:
        step = log.state.commits_made
        info = CommitInfo(
            step=step,
            checkpoint=f"data/{step}-{term}-{uuid.uuid4()}",
            manifest="blake3:" + "0" * 64,
            metrics={"loss": 0.123456789, "accuracy": 0.987654321, "val_loss": 0.5},
        )
        commits.append(timed(lambda info=info: log.commit(term=term, attempt_id="a1", commit=info)))  # type: ignore[misc]
        if len(log.state.commits) > KEPT:
            log.retire(term=term, keys=[log.state.commits[0].checkpoint])
    opens = [timed(lambda: RunLog.open(store, log.prefix)) for _ in range(10)]
    assert RunLog.open(store, log.prefix).state == log.state
    return {
        "store": store.uri,
        "entries": log.head.index + 1,
        "tail": log.head.index - log.state.snapshot,
        "commitMedianMs": round(statistics.median(commits) * 1e3, 3),
        "commitP99Ms": round(statistics.quantiles(commits, n=100)[98] * 1e3, 3),
        "openFirstMs": round(opens[0] * 1e3, 2),
        "openMedianMs": round(statistics.median(opens) * 1e3, 2),
        "verifySeconds": round(timed(lambda: verify_chain(log)), 2),
    }


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
