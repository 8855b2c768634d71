"""Options that several verbs share, so that they are spelled and explained alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "json", "yaml")


def store_option(function: F) -> F:
    """--store, as `store`: None where it is not given."""
    return click.option(
        "--store",
        metavar="DIR|URI",
        help="Folder or address (file://, s3://, gs://, az://) of the store.  [default: $SOJOURN_STORE, else "
        "./sojourn-runs]",
    )(function)


def format_option(function: F) -> F:
    """-o, as `output`: one of FORMATS."""
    return click.option(
        "-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="Form of the output."
    )(function)
