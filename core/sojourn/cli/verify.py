"""`sojourn verify`: whether what is stored is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sojourn.cli.options import format_option, store_option
from sojourn.errors import CorruptData

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Check a run's log and data against their digests.")
@click.argument("run")
@store_option
@click.option("--expect-head", metavar="HEAD", help="An entry that the log must hold, as `history` prints it.")
@click.option("--key", "keys", type=_file, multiple=True, help="Public key (PEM) that must have signed; repeatable.")
@click.option(
    "--certificate-chain",
    "roots",
    type=_file,
    multiple=True,
    help="Root certificates (PEM), one of which must vouch for the signer; repeatable.",
)
@click.option("--export", metavar="VERSION", type=click.IntRange(0), help="Only that export; 0 is the newest.")
@format_option
def verify(run: str, keys: tuple[Path, ...], roots: tuple[Path, ...], output: str, **which: Any) -> None:
    """Check a run's log and data against their digests.

    RUN is a run, such as digits, of which the whole log and every checkpoint and export are read; one checkpoint, such
    as digits@1200; or a signed folder. The exit code is 5 where something is damaged.

    With --key or --certificate-chain everything that is checked must also be signed, by one of those who are named.
    """
    from sojourn.cli.bars import bytes_bar
    from sojourn.cli.tables import print_data, print_table
    from sojourn.client.sign import trust
    from sojourn.client.verify import verify as check
    from sojourn.progress import words

    with bytes_bar(f"Verifying {run}") as progress:
        report = check(run, trust=trust(keys, roots), progress=progress, **which)
    if output != "table":
        print_data(report, output)
    else:
        checked = (
            f"{words.plural(report.entries, 'entry', 'entries')} of the log" if report.entries else "",
            words.plural(report.checkpoints, "checkpoint") if report.checkpoints else "",
            words.plural(report.exports, "export") if report.exports else "",
            words.plural(report.files, "file"),
            f"{words.plural(report.chunks, 'chunk')} ({words.size(report.bytes)})",
        )
        verdict = "all good" if report.ok else words.plural(len(report.problems), "problem")
        click.echo(f"{run}: {verdict}. Checked {', '.join(part for part in checked if part)}.")
        if report.signers:
            click.echo(f"Signed by {', '.join(report.signers)}.")
        if report.problems:
            click.echo()
            print_table(("WHERE", "PROBLEM"), [(problem.where, problem.message) for problem in report.problems])
    click.get_current_context().exit(0 if report.ok else CorruptData.exit_code)
