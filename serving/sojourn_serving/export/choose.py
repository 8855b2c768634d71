"""Which export of a run an address means to serve."""

from __future__ import annotations

from sojourn.errors import NotFound
from sojourn.runlog.address import Address, best
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Export
from sojourn.runlog.runs import find_run
from sojourn.runlog.state import RunState
from sojourn.store.base import Store


class NoExport(NotFound):
    """The run is there, and has no export that fits."""


def choose_export(store: Store, address: str) -> tuple[RunLog, Export]:
    """The newest SavedModel export: of the run, or of the step that @best or @<step> means.

    Raises:
        NotFound: no such run, or (NoExport) it has no such export; the hint is the command that makes one.
    """
    wanted = Address.parse(address)
    log = find_run(store, wanted.name, wanted.namespace)
    hint = f"Make one: sojourn export {address} --store {store.uri}"
    return log, select_export(log.state, wanted.selector, hint=hint)


def select_export(state: RunState, selector: str | int, version: int | None = None, *, hint: str = "") -> Export:
    """The SavedModel export with this version, or the newest one that `selector` (latest, best, a step) means.

    Raises:
        NoExport: there is none.
    """
    exports = [export for export in state.exports if "SavedModel" in export.formats]
    step = selector if isinstance(selector, int) else None
    if selector == "best":
        commit = best(state)
        step = commit.step if commit else -1
    fitting = [
        export for export in exports if step in (None, export.step) and (version is None or export.version == version)
    ]
    if not fitting:
        wanted = f" {version}" if version is not None else f" of step {step}" if step is not None else ""
        others = ", ".join(f"{export.version} (step {export.step})" for export in exports)
        raise NoExport(
            f"the run {state.name!r} has no SavedModel export{wanted}"
            + (f"; it has versions {others}" if others and wanted else ""),
            hint=hint,
        )
    return max(fitting, key=lambda export: export.version)
