"""Which files of a folder belong to a job's code: .sojournignore, in the pattern language of .gitignore."""

from __future__ import annotations

import re
from dataclasses import dataclass

IGNORE_FILE = ".sojournignore"

DEFAULTS = (
    "__pycache__/",
    "*.py[co]",
    ".git/",
    ".hg/",
    ".svn/",
    ".venv/",
    "venv/",
    ".tox/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".ipynb_checkpoints/",
    "node_modules/",
    "*.egg-info/",
    ".DS_Store",
)


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    folders_only: bool
    keeps: bool


class IgnoreRules:
    """The defaults, then the given lines; the last rule that matches decides, `!pattern` keeps.

    As in git, what lies in an ignored folder cannot be kept by a later rule.
    """

    def __init__(self, text: str = "") -> None:
        lines = [*DEFAULTS, *text.splitlines()]
        self._rules = [rule for line in lines if (rule := _parse(line)) is not None]

    def ignores(self, path: str, *, folder: bool) -> bool:
        """`path` is relative to the root, with slashes."""
        for rule in reversed(self._rules):
            if (folder or not rule.folders_only) and rule.pattern.fullmatch(path):
                return not rule.keeps
        return False


def _parse(line: str) -> _Rule | None:
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    keeps = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    return _Rule(re.compile(_regex(text) if anchored else f"(?:.*/)?{_regex(text)}", re.DOTALL), folders_only, keeps)


_TOKENS = re.compile(
    r"(?P<deep>\*\*/)|(?P<all>\*\*)|(?P<some>\*)|(?P<one>\?)|(?P<set>\[[!^]?\]?[^\]/]*\])|(?P<other>.)"
)
_MEANINGS = {"deep": "(?:.*/)?", "all": ".*", "some": "[^/]*", "one": "[^/]"}


def _regex(pattern: str) -> str:
    return "".join(_translate(token) for token in _TOKENS.finditer(pattern))


def _translate(token: re.Match[str]) -> str:
    kind = token.lastgroup or "other"
    if kind == "set":
        negated = token[0][1] in "!^"
        members = re.sub(r"([\\\[\]^&~|])", r"\\\1", token[0][2 if negated else 1 : -1])
        return f"[{'^/' if negated else ''}{members}]"
    return _MEANINGS.get(kind) or re.escape(token[0])
