"""The `sojourn` command: errors that people can act on, and documented exit codes (docs/reference/exit-codes.md)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from sojourn import __version__
from sojourn.cli.completion import completion
from sojourn.cli.group import VerbGroup
from sojourn.cli.program import complete_variable, program_name
from sojourn.errors import SojournError

INTERRUPTED = 130


@click.group(
    cls=VerbGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Runs and checkpoints have addresses: digits, digits@latest, digits@best, digits@1200.",
)
@click.version_option(__version__, "--version", prog_name="sojourn", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Show the Python traceback of an error.")
def cli(verbose: bool) -> None:
    """Train TensorFlow, carry the run to another store or cluster, and serve it there."""


cli.add_command(completion)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (the console script passes it to sys.exit)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = bool({"-v", "--verbose"}.intersection(_before_verb(arguments)))
    try:
        result = cli.main(arguments, program_name(sys.argv[0]), complete_var=complete_variable(), standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (SojournError, OSError) as error:
        code = _report(error, verbose)
    return code


def _report(error: SojournError | OSError, verbose: bool) -> int:
    if isinstance(error, OSError):
        message, hint, code = str(error), "", 1
    else:
        message, hint, code = error.message, error.hint, error.exit_code
    if verbose:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    else:
        click.secho("Error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(message, err=True)
        if hint:
            click.echo("\n".join(f"  {line}" for line in hint.splitlines()), err=True)
    return code


def _before_verb(arguments: Sequence[str]) -> list[str]:
    """The options of `sojourn` itself: those before the first word that is no option."""
    options: list[str] = []
    for argument in arguments:
        if not argument.startswith("-"):
            break
        options.append(argument)
    return options


if __name__ == "__main__":
    sys.exit(main())
