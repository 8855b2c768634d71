"""`sojourn sign`: a signature that says who vouches for a checkpoint, an export or a folder of a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from sojourn.cli.options import format_option, store_option

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Sign a checkpoint, an export or a model's folder.")
@click.argument("what")
@click.option("--key", type=_file, required=True, help="Private key (PEM, elliptic curve).")
@click.option("--certificate", type=_file, help="The key's certificate (PEM), which the signature brings along.")
@click.option("--chain", type=_file, multiple=True, help="Certificates between that one and the root; repeatable.")
@store_option
@click.option("--export", metavar="VERSION", type=click.IntRange(0), help="The run's export; 0 is the newest.")
@click.option("--all", "everything", is_flag=True, help="All checkpoints and exports of the run.")
@click.option(
    "--hash",
    "algorithm",
    type=click.Choice(("blake3", "sha256")),
    default="blake3",
    show_default=True,
    help="Hash of the digests that are signed; for model_signing's command line sha256.",
)
@format_option
def sign(what: str, key: Path, certificate: Path | None, chain: tuple[Path, ...], output: str, **which: Any) -> None:
    """Sign a checkpoint, an export or a model's folder.

    WHAT is a run, such as digits, of which the newest checkpoint is signed; a checkpoint, such as digits@1200; or a
    folder. Everything is read and compared with its digests before it is signed. The signature is the file model.sig
    beside what it is of, in the OpenSSF model-signing format, and goes along when the run is copied or moved.

    The passphrase of an encrypted key is taken from $SOJOURN_KEY_PASSPHRASE, or asked for.
    """
    from sojourn.cli.bars import bytes_bar
    from sojourn.cli.tables import print_data
    from sojourn.client.sign import sign as sign_it
    from sojourn.client.sign import signer
    from sojourn.progress import words

    def ask() -> str:
        return str(click.prompt(f"Passphrase of {key}", hide_input=True, err=True))

    by = signer(key, ask=ask if sys.stdin.isatty() else None, certificate=certificate, chain=chain)
    with bytes_bar(f"Signing {what}") as progress:
        done = sign_it(what, by, progress=progress, **which)
    if output != "table":
        print_data(done, output)
        return
    for one in done:
        click.echo(f"{one.signature}: {words.plural(one.files, 'file')} ({words.size(one.bytes)}), by {one.signer}")
