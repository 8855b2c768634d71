"""The page that `sojourn report` writes."""

import re
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from sojourn.cli.main import main
from sojourn.errors import SojournError
from sojourn.report.write import write_report

NOW = datetime(2026, 2, 1, tzinfo=UTC)
VOID = {"meta", "br", "path", "use", "line", "rect"}


class Checker(HTMLParser):
    """Holds a page to closing what it opens."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(two_stores, tmp_path):
    pytest.importorskip("matplotlib")
    return write_report("digits", tmp_path / "report.html", store=two_stores[1], now=lambda: NOW).read_text()


@pytest.fixture
def checked(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def test_it_is_whole_and_its_ids_are_unique(checked):
    assert len(checked.ids) == len(set(checked.ids))


def test_it_needs_no_network(page):
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in page
    assert "@import" not in page


def test_it_tells_the_whole_story(checked):
    text = " ".join(" ".join(checked.text).split())
    for part in ("digits", "500 steps committed", "restarted", "moved", "Lineage", "SavedModel", "retired", "loss"):
        assert part in text
    assert "Written by Sojourn" in text
    assert "2026-02-01 00:00:00" in text


def test_plots_take_their_colours_from_the_page(page):
    assert "var(--train)" in page
    assert not re.search(r"#0[1-8]0[1-8]0[1-8]", page)


def test_the_same_run_gives_the_same_page(page, two_stores, tmp_path):
    again = write_report("digits", tmp_path / "again.html", store=two_stores[1], now=lambda: NOW)
    assert again.read_text() == page


def test_a_run_without_commits(two_stores, tmp_path):
    pytest.importorskip("matplotlib")
    page = write_report("mnist", tmp_path / "report.html", store=two_stores[0], now=lambda: NOW).read_text()
    assert "<h1>mnist</h1>" in page
    assert "<svg" not in page


def test_the_verb(two_stores, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    target = tmp_path / "digits.html"
    assert main(["report", "digits", "-o", str(target), "--store", str(two_stores[1].root)]) == 0
    assert capsys.readouterr().out == f"Wrote {target}\n"
    assert target.read_text().startswith("<!doctype html>")


def test_without_matplotlib_it_says_what_to_install(two_stores, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SojournError, match=r"sojourn\[report\]"):
        write_report("digits", tmp_path / "report.html", store=two_stores[1])
    assert not (tmp_path / "report.html").exists()
