"""What a model server's pods run before they serve: `python -m sojourn_serving.fetch resolve|load`.

`resolve` finds out which export a run's name means now, `load` copies that very export, verified, into the pod. They
report by a container's termination message, so that these pods need no access to the API server. The store comes from
the environment, as in every pod.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sojourn.errors import CorruptData, InvalidInput, NotFound, SojournError, StoreError
from sojourn.runlog.address import Address
from sojourn.runlog.records import ExportInfo
from sojourn.runlog.runs import find_run
from sojourn.store.environment import store_from_environment
from sojourn_serving.export.choose import NoExport, select_export
from sojourn_serving.export.files import fetch

MESSAGE_BYTES = 3072
REASONS: tuple[tuple[type[SojournError], str], ...] = (
    (NoExport, "NoExport"),
    (NotFound, "RunNotFound"),
    (CorruptData, "Corrupt"),
    (StoreError, "StoreUnreachable"),
    (InvalidInput, "InvalidModel"),
)
NO_EXPORT_HINT = "Set spec.export.formats: [SavedModel] on the TrainingJob, or run `sojourn export` on the store."

_report = click.option(
    "--report", type=click.Path(path_type=Path), default=Path("/dev/termination-log"), help="File for the answer."
)


@click.group()
def main() -> None:
    """Find and fetch exports for a model server's pods."""


@main.command()
@click.argument("address")
@click.option("--version", type=int, help="Version of the export. By default the newest.")
@_report
def resolve(address: str, version: int | None, report: Path) -> None:
    """Say which export ADDRESS means: [NAMESPACE/]NAME[@latest|best|STEP]."""
    with reporting(report):
        wanted = Address.parse(address)
        log = find_run(store_from_environment(), wanted.name, wanted.namespace)
        export = select_export(log.state, wanted.selector, version, hint=NO_EXPORT_HINT)
        _write(
            report,
            {
                "version": export.version,
                "manifest": export.manifest,
                "run": log.prefix,
                "step": export.step,
            },
        )


@main.command()
@click.argument("run")
@click.option("--version", type=int, required=True, help="Version of the export.")
@click.option("--manifest", required=True, help="Digest of its manifest, which names those of all files.")
@click.option("--into", type=click.Path(path_type=Path), required=True, help="Folder for <digest>/<version>.")
@_report
def load(run: str, version: int, manifest: str, into: Path, report: Path) -> None:
    """Copy an export of the run in the folder RUN, and fail where a byte is not the one that its manifest names."""
    with reporting(report):
        export = ExportInfo(version=version, key=f"export/{version}", manifest=manifest, step=0)
        click.echo(fetch(store_from_environment(), run, export, into))


@contextmanager
def reporting(report: Path) -> Iterator[None]:
    """Write an error of the block to `report` before it ends the program with its exit code."""
    try:
        yield
    except SojournError as error:
        reason = next((name for kind, name in REASONS if isinstance(error, kind)), "Failed")
        _write(report, {"reason": reason, "message": error.message[:MESSAGE_BYTES], "hint": error.hint})
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)


def _write(report: Path, answer: dict[str, Any]) -> None:
    report.write_text(json.dumps(answer))


if __name__ == "__main__":
    main(prog_name="python -m sojourn_serving.fetch")
