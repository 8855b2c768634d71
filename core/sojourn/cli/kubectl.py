"""`kubectl_complete-sojourn`: what kubectl asks when the tab key is pressed after `kubectl sojourn`.

It gets the words so far and prints a candidate a line, with its help after a tab, and last a colon and what kubectl is
to do (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/, the directives are those of spf13/cobra).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final

import click
from click.shell_completion import ShellComplete

from sojourn.cli.main import cli

FILES: Final = 0
NO_FILES: Final = 4
FOLDERS: Final = 16


def main() -> int:
    """Answer for the words of this process."""
    for line in answer(sys.argv[1:]):
        click.echo(line)
    return 0


def answer(words: Sequence[str]) -> Iterator[str]:
    """The lines for the words after `kubectl sojourn`; the last word is the one to complete, and may be empty."""
    *before, incomplete = words or [""]
    found = ShellComplete(cli, {}, "kubectl sojourn", "").get_completions(before, incomplete)
    for item in found:
        if item.type == "plain":
            yield f"{item.value}\t{item.help}" if item.help else str(item.value)
    kinds = {item.type for item in found}
    yield f":{FILES if 'file' in kinds else FOLDERS if 'dir' in kinds else NO_FILES}"


if __name__ == "__main__":
    sys.exit(main())
