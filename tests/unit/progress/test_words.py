"""Numbers as people read them."""

import math

import pytest

from sojourn.progress import words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (250e6, "250 MB"), (3.21e15, "3210 TB")],
)
def test_size(value, text):
    assert words.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ms"),
        (0.008, "8 ms"),
        (0.31, "0.31 s"),
        (12.44, "12.4 s"),
        (99.96, "1 min 40 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7440, "2 h 04 min"),
        (100_000, "1 d 03 h"),
        (None, "–"),
        (math.inf, "–"),
    ],
)
def test_seconds(value, text):
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.23118, "0.2312"),
        (14.214, "14.21"),
        (123456.0, "1.23e+05"),
        (3.1e-6, "3.10e-06"),
        (-0.5, "-0.5000"),
        (math.nan, "NaN"),
        (-math.inf, "-∞"),
    ],
)
def test_metric(value, text):
    assert words.metric(value) == text


def test_plural():
    assert [words.plural(n, "worker") for n in (0, 1, 2)] == ["0 workers", "1 worker", "2 workers"]


def test_short_id():
    assert words.short_id("11ac2765-3919-4f82-a05f-c8fdd82d93b4") == "11ac2765"
    assert words.short_id("a1") == "a1"


def test_facts():
    assert words.facts({"workers": 2, "hosts": ["a", "a", "b"], "versions": {"x": 1}}) == "workers 2, hosts a b"
