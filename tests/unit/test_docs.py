"""The docs' links lead somewhere, and the commands they show exist with the options they show."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
SHELL = {"sh", "bash", "shell", "console"}


def pages() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def anchors(page: Path) -> set[str]:
    """Heading ids as GitHub makes them: lower case, punctuation dropped, blanks to hyphens, repeats numbered."""
    found: dict[str, int] = {}
    for heading in HEADING.findall(FENCE.sub("", page.read_text())):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)


def broken_links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    broken = []
    for target in LINK.findall(text):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    return broken


def shown_commands(text: str) -> Iterator[list[str]]:
    """The words of every command in the shell blocks of a page; in console blocks only what follows `$ `."""
    for language, body in FENCE.findall(text):
        if language not in SHELL:
            continue
        lines = body.replace("\\\n", " ").splitlines()
        if language == "console":
            lines = [line.lstrip()[2:] for line in lines if line.lstrip().startswith("$ ")]
        for line in lines:
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split = True
            command: list[str] = []
            for word in lexer:
                if word and set(word) <= set("|&;<>"):
                    yield command
                    command = []
                else:
                    command.append(word)
            yield command


@cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z][a-z-]*):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def verbs() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries: dict[str, str] = project["entry-points"]["sojourn.verbs"]
    return entries


def load(verb: str) -> click.Command | None:
    if verb in verbs():
        module, _, name = verbs()[verb].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command
    cli: click.Group = import_module("sojourn.cli.main").cli
    return cli.commands.get(verb)


def wrong_words(words: list[str]) -> list[str]:
    """What of one command does not exist: a make target, a verb, an option."""
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)]
    if words[:2] == ["kubectl", "sojourn"]:
        words = words[1:]
    if words[:1] and words[0].rpartition("/")[2] == "make":
        return [word for word in words[1:] if not word.startswith("-") and word not in make_targets()]
    if not words or words[0].rpartition("/")[2] != "sojourn":
        return []
    arguments = words[1:]
    if not arguments or arguments[0].startswith("-"):
        return [word for word in arguments if word not in {"--help", "-h", "--version"}]
    command = load(arguments[0])
    if command is None:
        return [arguments[0]]
    known = {"--help", "-h"}.union(*(option.opts + option.secondary_opts for option in command.params))
    given = [word.partition("=")[0] for word in arguments[1:] if re.match(r"--?[a-z]", word)]
    return [f"{arguments[0]} {word}" for word in given if word not in known]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_shown_exist(page: Path) -> None:
    assert [wrong for words in shown_commands(page.read_text()) for wrong in wrong_words(words)] == []


@pytest.mark.parametrize("folder", ["docs", "docs/adr", "docs/concepts", "docs/guides", "docs/reference"])
def test_every_page_is_in_its_index(folder: str) -> None:
    index = (ROOT / ("docs/adr" if folder == "docs/adr" else "docs") / "README.md").read_text()
    pages_here = [page for page in pages() if page.parent == ROOT / folder and page.name != "README.md"]
    assert [page.name for page in pages_here if f"{page.name})" not in index] == []


def test_decisions_are_numbered_once() -> None:
    numbers = [
        page.name.partition("-")[0] for page in pages() if page.parent.name == "adr" and page.name != "README.md"
    ]
    assert sorted(numbers) == sorted(set(numbers))


def test_the_readme_shows_commands() -> None:
    shown = {words[0].rpartition("/")[2] for words in shown_commands((ROOT / "README.md").read_text()) if words}
    assert {"make", "sojourn"} <= shown


def test_a_command_that_does_not_exist_is_found() -> None:
    page = "```sh\nmake nonsense && sojourn runs --nonsense # why\nFOO=1 sojourn sail\n```\n"
    assert [wrong for words in shown_commands(page) for wrong in wrong_words(words)] == [
        "nonsense",
        "runs --nonsense",
        "sail",
    ]
