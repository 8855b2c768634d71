"""The group that finds verbs by entry points and imports a verb only when it is called."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points

import click
from click.shell_completion import CompletionItem

from sojourn.cli.verbs import SECTIONS, VERBS
from sojourn.errors import SojournError

ENTRY_POINTS = "sojourn.verbs"


class VerbGroup(click.Group):
    """A click group over the entry points of `sojourn.verbs` and the commands added to it directly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all installed verbs, in the order of the table of verbs, then those of other packages."""
        installed = {*self._found(), *self.commands}
        known = [name for name in VERBS if name in installed]
        return known + sorted(installed - set(known))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, imported now, or None where there is none of this name."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        entry = self._found().get(cmd_name)
        return None if entry is None else _load(entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest verb for a typo."""
        name = args[0]
        known = self.list_commands(ctx)
        if name in known or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        said = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"There is no verb {name!r}.{said}", ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs by the table, so that a press of the tab key imports none, and the group's options."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        verbs = [CompletionItem(name, help=VERBS[name].help if name in VERBS else None) for name in names]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line per verb, by section. Only verbs of other packages are imported for it."""
        installed = set(self.list_commands(ctx))
        for title, verbs in SECTIONS.items():
            rows = [(verb.name, verb.help) for verb in verbs if verb.name in installed]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        others = [(name, self._short_help(ctx, name)) for name in sorted(installed - set(VERBS))]
        if others:
            with formatter.section("Other"):
                formatter.write_dl(others)

    def _short_help(self, ctx: click.Context, name: str) -> str:
        try:
            command = self.get_command(ctx, name)
        except SojournError as error:
            return error.message
        return command.get_short_help_str(limit=100) if command else ""

    @staticmethod
    def _found() -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> click.Command:
    """Import a verb.

    Raises:
        SojournError: a package that the verb needs is not installed, or it is no click command.
    """
    verb = VERBS.get(entry.name)
    try:
        command = entry.load()
    except ModuleNotFoundError as error:
        extra = f"sojourn[{verb.extra}]" if verb and verb.extra else ""
        raise SojournError(
            f"The verb {entry.name!r} needs the package {error.name!r}, which is not installed.",
            hint=f"Install it with: pip install '{extra}'" if extra else "",
        ) from error
    if not isinstance(command, click.Command):
        raise SojournError(f"The entry point {entry.value!r} of the verb {entry.name!r} is no click command.")
    return command
