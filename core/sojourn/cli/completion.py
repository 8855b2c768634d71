"""`sojourn completion`: the script that teaches a shell to complete verbs, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  sojourn completion bash > ~/.local/share/bash-completion/completions/sojourn
    zsh:   sojourn completion zsh > "${fpath[1]}/_sojourn"
    fish:  sojourn completion fish > ~/.config/fish/completions/sojourn.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}", ctx)
    click.echo(kind(ctx.find_root().command, {}, "sojourn", "_SOJOURN_COMPLETE").source())
