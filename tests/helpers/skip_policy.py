"""A pytest plugin: under CI=true, a skip that nobody wrote down fails the run.

A skipped test is a gap that looks green. The known gaps are the lines of tests/allowed-skips.txt.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from re import compile as compile_pattern

import pytest

LIST = "allowed-skips.txt"
SEPARATOR = " | "


@dataclass(frozen=True, slots=True)
class Skip:
    """One skipped test (or module, when its collection was skipped) and the reason it gave."""

    test: str
    reason: str

    def __str__(self) -> str:
        return f"{self.test}{SEPARATOR}{self.reason}"


def read_list(text: str) -> list[Skip]:
    """Parse `<test id> | <reason>` lines; `*` stands for any text, `#` starts a comment line.

    Raises:
        ValueError: a line without the separator.
    """
    allowed = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        test, separator, reason = line.partition(SEPARATOR)
        if not separator or not test.strip() or not reason.strip():
            raise ValueError(f"{LIST}:{number}: expected '<test id>{SEPARATOR}<reason>', found {line!r}")
        allowed.append(Skip(test.strip(), reason.strip()))
    return allowed


def unexpected(skips: Iterable[Skip], allowed: Iterable[Skip]) -> list[Skip]:
    """The skips that no line allows."""
    # Test ids hold brackets, which fnmatch would read as character classes.
    patterns = [compile_pattern(translate(str(line).replace("[", "[[]"))) for line in allowed]
    return [skip for skip in skips if not any(pattern.match(str(skip)) for pattern in patterns)]


# pytest keeps its plugins in sets, so this one must not compare by value.
@dataclass(eq=False)
class SkipPolicy:
    """Gathers the skips of one run and fails the run at its end."""

    allowed: list[Skip]
    skips: list[Skip] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._add(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._add(report.nodeid, report.longrepr)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and self._unexpected():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if found := self._unexpected():
            terminalreporter.section("skips that are not on the list", red=True)
            for skip in found:
                terminalreporter.line(str(skip))
            terminalreporter.line(f"Make these tests run here, or add them to tests/{LIST} with the reason.")

    def _add(self, test: str, longrepr: object) -> None:
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        self.skips.append(Skip(test, str(reason).removeprefix("Skipped: ")))

    def _unexpected(self) -> list[Skip]:
        return unexpected(self.skips, self.allowed)


def pytest_configure(config: pytest.Config) -> None:
    worker_of_xdist = hasattr(config, "workerinput")
    if os.environ.get("CI") in {"true", "1"} and not worker_of_xdist:
        path = Path(__file__).parents[1] / LIST
        config.pluginmanager.register(SkipPolicy(read_list(path.read_text())), "sojourn-skip-policy")
