"""`sojourn verify`: whether what is stored is what was written."""

from __future__ import annotations

import click

from sojourn.cli.options import format_option, store_option
from sojourn.errors import CorruptData


@click.command(short_help="Check a run's log and data against their digests.")
@click.argument("run")
@store_option
@click.option("--expect-head", metavar="HEAD", help="An entry that the log must hold, as `history` prints it.")
@format_option
def verify(run: str, store: str | None, expect_head: str | None, output: str) -> None:
    """Check a run's log and data against their digests.

    RUN is a run, such as digits, of which the whole log and every checkpoint and export are read; or one checkpoint,
    such as digits@1200. The exit code is 5 where something is damaged.
    """
    from sojourn.cli.bars import bytes_bar
    from sojourn.cli.tables import print_data, print_table
    from sojourn.client.verify import verify as check
    from sojourn.progress import words

    with bytes_bar(f"Verifying {run}") as progress:
        report = check(run, store=store, expect_head=expect_head, progress=progress)
    if output != "table":
        print_data(report, output)
    else:
        checked = (
            f"{words.plural(report.entries, 'entry', 'entries')} of the log" if report.entries else "",
            words.plural(report.checkpoints, "checkpoint"),
            words.plural(report.exports, "export") if report.exports else "",
            words.plural(report.files, "file"),
            f"{words.plural(report.chunks, 'chunk')} ({words.size(report.bytes)})",
        )
        verdict = "all good" if report.ok else words.plural(len(report.problems), "problem")
        click.echo(f"{run}: {verdict}. Checked {', '.join(part for part in checked if part)}.")
        if report.problems:
            click.echo()
            print_table(("WHERE", "PROBLEM"), [(problem.where, problem.message) for problem in report.problems])
    click.get_current_context().exit(0 if report.ok else CorruptData.exit_code)
