"""Which export of a run an address means to serve."""

from __future__ import annotations

from sojourn.errors import NotFound
from sojourn.runlog.address import Address, best
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import Export
from sojourn.runlog.runs import find_run
from sojourn.store.base import Store


def choose_export(store: Store, address: str) -> tuple[RunLog, Export]:
    """The newest SavedModel export: of the run, or of the step that @best or @<step> means.

    Raises:
        NotFound: no such run, or it has no such export; the hint is the command that makes one.
    """
    wanted = Address.parse(address)
    log = find_run(store, wanted.name, wanted.namespace)
    exports = [export for export in log.state.exports if "SavedModel" in export.formats]
    step = wanted.selector if isinstance(wanted.selector, int) else None
    if wanted.selector == "best":
        commit = best(log.state)
        step = commit.step if commit else -1
    fitting = [export for export in exports if step is None or export.step == step]
    if not fitting:
        others = ", ".join(f"{export.version} (step {export.step})" for export in exports)
        raise NotFound(
            f"the run {wanted.name!r} has no SavedModel export"
            + (f" of step {step}; it has versions {others}" if others and step is not None else ""),
            hint=f"Make one: sojourn export {address} --store {store.uri}",
        )
    return log, max(fitting, key=lambda export: export.version)
