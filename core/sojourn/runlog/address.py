"""Addresses of runs and checkpoints that people can type: digits, digits@latest, digits@best, digits@1200."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sojourn.errors import InvalidInput, NotFound
from sojourn.runlog.env import Env
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Commit, KeepBest
from sojourn.runlog.refusals import label
from sojourn.runlog.runs import LOCAL, find_run
from sojourn.runlog.state import RunState
from sojourn.store.base import Store

_DEFAULTS = (KeepBest(metric="val_loss", mode="Min"), KeepBest(metric="loss", mode="Min"))


@dataclass(frozen=True, slots=True)
class Address:
    """[<namespace>/]<name>[-<runId>][@latest|best|<step>]; the selector is "latest" where none is written."""

    name: str
    selector: str | int = "latest"
    namespace: str = LOCAL

    def __str__(self) -> str:
        space = "" if self.namespace == LOCAL else f"{self.namespace}/"
        return f"{space}{self.name}@{self.selector}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises InvalidInput, saying what an address looks like."""
        name, at, selector = text.partition("@")
        namespace, slash, name = name.rpartition("/")
        good = name and (namespace or not slash) and (selector in ("latest", "best") or selector.isdecimal() or not at)
        if not good or not selector.isascii():
            raise InvalidInput(
                f"{text!r} is not the address of a checkpoint",
                hint="Write <name>, <name>@latest, <name>@best or <name>@<step>, as in digits@1200.",
            )
        return cls(name, int(selector) if selector.isdecimal() else selector or "latest", namespace or LOCAL)


def resolve(store: Store, address: Address | str, env: Env | None = None) -> tuple[RunLog, Commit]:
    """The run and the checkpoint that an address means; a fenced run's checkpoints can be read like any other's.

    Raises:
        NotFound: there is no such run, or it has no such checkpoint.
    """
    wanted = Address.parse(address) if isinstance(address, str) else address
    log = find_run(store, wanted.name, wanted.namespace, env)
    return log, select(log.state, wanted.selector)


def select(state: RunState, selector: str | int) -> Commit:
    """The commit that "latest", "best" or a step means. Raises NotFound, saying which there are."""
    if not state.commits:
        raise NotFound(f"run {label(state)} has no checkpoint yet", hint="Wait for its first commit.")
    found = best(state) if selector == "best" else state.latest if selector == "latest" else None
    if isinstance(selector, int):
        found = state.commit_at(selector)
    if found is None:
        raise NotFound(f"run {label(state)} has no checkpoint @{selector}", hint=_what_there_is(state, selector))
    return found


def best(state: RunState) -> Commit | None:
    """The commit that is best by the manifest's keepBest, else by the lowest val_loss or loss; the newest of equals."""
    for by in (state.keep_best,) if state.keep_best else _DEFAULTS:
        sign = 1.0 if by.mode == "Max" else -1.0
        rated = [
            (sign * commit.metrics[by.metric], commit.index, commit)
            for commit in state.commits
            if not math.isnan(commit.metrics.get(by.metric, math.nan))
        ]
        if rated:
            return max(rated, key=lambda item: item[:2])[2]
    return None


def _what_there_is(state: RunState, selector: str | int) -> str:
    if selector == "best":
        metrics = sorted({name for commit in state.commits for name in commit.metrics})
        wanted = state.keep_best.metric if state.keep_best else "val_loss or loss"
        return f"No checkpoint has {wanted}; they have {', '.join(metrics) or 'no metrics'}."
    steps = [str(commit.step) for commit in state.commits]
    shown = steps if len(steps) <= 8 else [*steps[:3], "...", *steps[-4:]]
    return f"It has checkpoints at steps {', '.join(shown)}."
