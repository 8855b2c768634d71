"""The pages about the command line and the Python API, held to the code."""

from pathlib import Path

import pytest

import sojourn as api
from sojourn import events
from sojourn.cli import reference

PAGES = Path(__file__).parents[3] / "docs" / "reference"


def test_the_page_of_verbs_is_the_generated_one():
    text = (PAGES / "cli.md").read_text()
    assert text == reference.page(), "run: python -m sojourn.cli.reference > docs/reference/cli.md"


@pytest.mark.parametrize("name", [name for name in api.__all__ if name != "__version__"])
def test_every_public_name_is_on_the_page(name):
    assert name in (PAGES / "python-api.md").read_text()


def test_every_event_is_on_the_page():
    text = (PAGES / "python-api.md").read_text()
    assert [kind for kind in events.kinds() if f"`{kind}`" not in text] == []
