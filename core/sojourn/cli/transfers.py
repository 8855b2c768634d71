"""What `copy` and `move` say when they are done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sojourn.transfer.copy import TransferResult


def print_transfer(done: str, run: str, result: TransferResult, output: str) -> None:
    """The new run and what it took, as text, JSON or YAML."""
    from sojourn.cli.tables import print_data
    from sojourn.progress import words

    child, latest = result.child, result.child.state.latest
    if output != "table":
        data = {
            "name": child.state.name,
            "runId": child.state.run_id,
            "store": child.store.uri,
            "prefix": child.prefix,
            "step": latest.step if latest else None,
            "copiedFiles": result.copied_files,
            "copiedBytes": result.copied_bytes,
            "reusedBytes": result.reused_bytes,
            "adopted": result.adopted,
        }
        print_data(data, output)
        return
    at = f" at step {latest.step:,}" if latest else ""
    click.echo(f"{done} {run} to {child.store.uri}: it is {child.state.name} ({child.state.run_id}) there{at}.")
    if result.adopted:
        click.echo("Both are in one store: checkpoints were verified and stay where they are.")
    else:
        click.echo(
            f"{words.plural(result.copied_files, 'file')} copied ({words.size(result.copied_bytes)}), "
            f"{words.size(result.reused_bytes)} were there already."
        )
