"""`sojourn compare`: whether two checkpoints hold the same bits, and where they do not."""

from __future__ import annotations

import click

from sojourn.cli.options import format_option, store_option

DIFFERENT = 1


@click.command(short_help="Compare the variables of two checkpoints.")
@click.argument("first")
@click.argument("second")
@store_option
@click.option("--other-store", metavar="DIR|URI", help="Store of SECOND, where it is another one.")
@click.option("--prefix", default="", help="Only variables whose name starts so, such as model/.")
@format_option
def compare(first: str, second: str, store: str | None, other_store: str | None, prefix: str, output: str) -> None:
    """Compare the variables of two checkpoints.

    FIRST and SECOND are addresses such as digits, digits@best or digits@1200. The exit code is 0 where every
    variable has the same bits in both, and 1 where not.
    """
    from sojourn.cli.tables import print_data, print_table
    from sojourn.client.compare import compare as find
    from sojourn.progress import words

    found = find(first, second, store=store, other_store=other_store, prefix=prefix)
    if output != "table":
        print_data(found, output)
    else:
        click.echo(f"first    {found.first}\nsecond   {found.second}\n")
        if found.differences:
            rows = [
                (it.name, it.reason, it.detail, words.metric(it.largest) if it.largest is not None else words.UNKNOWN)
                for it in found.differences
            ]
            print_table(("VARIABLE", "DIFFERENT", "DETAIL", "LARGEST"), rows, right=("LARGEST",))
            click.echo()
        click.echo(
            f"{words.plural(found.equal, 'variable')} with the same bits, {len(found.differences):,} with others"
        )
    click.get_current_context().exit(0 if found.identical else DIFFERENT)
