"""`sojourn export`: a run's checkpoint as files that serve without Sojourn."""

from __future__ import annotations

import click

from sojourn.cli.options import format_option, store_option
from sojourn.cli.tables import print_data, print_fields, print_table
from sojourn.client.extras import require
from sojourn.client.stores import existing_store
from sojourn_serving.cli.cache import cache_folder
from sojourn_serving.export.formats import parse_formats
from sojourn_serving.export.record import ExportManifest, Tensor
from sojourn_serving.export.run import Exported
from sojourn_serving.export.run import export as run_export


@click.command(short_help="Export a run's model as SavedModel, Keras or H5.")
@click.argument("run")
@store_option
@click.option(
    "--format",
    "formats",
    default="savedmodel",
    show_default=True,
    metavar="LIST",
    help="Formats, separated by commas: savedmodel, keras, h5.",
)
@format_option
def export(run: str, store: str | None, formats: str, output: str) -> None:
    """Export a run's model as SavedModel, Keras or H5.

    RUN is a checkpoint's address: digits, digits@best, digits@1200. The files go to export/<version>/ of the run,
    with golden inputs and the model's answers to them. Each format is loaded again in a process that has only
    TensorFlow, and must give these answers, before the run's log names the export.
    """
    require("serving", ("tensorflow",), "Exporting")
    wanted = parse_formats(formats)

    def say(line: str) -> None:
        click.echo(line, err=True)

    done = run_export(existing_store(store), run, wanted, cache=cache_folder() / "code", say=say)
    if output == "table":
        _show(done)
    else:
        print_data(done, output)


def _show(done: Exported) -> None:
    manifest = done.manifest
    print_fields(
        [
            ("Export", f"{manifest.run}, version {manifest.version}"),
            ("Checkpoint", f"step {manifest.step} ({manifest.checkpoint})"),
            ("Parameters", f"{manifest.model.parameters:,}"),
            ("Inputs", "; ".join(map(_described, manifest.model.inputs))),
            ("Outputs", "; ".join(map(_described, manifest.model.outputs))),
            ("Golden inputs", f"{manifest.model.golden_rows} rows, {_golden(manifest)}"),
            ("Folder", done.folder),
            ("Digest", done.entry.manifest),
        ]
    )
    click.echo()
    rows = [(name, f"{difference:.1e}") for name, difference in done.differences.items()]
    print_table(("FORMAT", "LARGEST DIFFERENCE"), rows, right=("LARGEST DIFFERENCE",))


def _golden(manifest: ExportManifest) -> str:
    return "of the run's data" if manifest.model.golden_source == "Recorded" else "made up: the run kept none"


def _described(tensor: Tensor) -> str:
    shape = "any shape" if tensor.shape is None else str([-1 if n is None else n for n in tensor.shape])
    return f"{tensor.name} {tensor.dtype} {shape}"
