"""`sojourn completion`: the script that teaches a shell to complete verbs, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sojourn.cli.program import command_name, complete_variable

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

    Called as kubectl-sojourn it prints the script for that name. `kubectl sojourn` itself needs none: where kubectl
    completes, it asks kubectl_complete-sojourn, which is installed beside sojourn.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}", ctx)
    click.echo(kind(ctx.find_root().command, {}, command_name(), complete_variable()).source())
