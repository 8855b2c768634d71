"""Results as a table for people, or as JSON or YAML with the names that manifests and the log use."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import click

from sojourn.client.tables import Row, layout


def print_data(value: object, output: str) -> None:
    """Print as "json" or "yaml"."""
    data = plain_data(value)
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(heads: Row, rows: Iterable[Row], *, right: Sequence[str] = ()) -> None:
    """Print columns under their heads; those named in `right` hold numbers."""
    first, *rest = layout(heads, rows, right=right)
    click.secho(first, bold=True)
    for line in rest:
        click.echo(line)


def print_fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values one below the other; pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{click.style(name.ljust(width), bold=True)}   {value}")


def plain_data(value: Any) -> Any:
    """Dataclasses and their like as what JSON and YAML can write, with camelCase names."""
    result = value
    if is_dataclass(value) and not isinstance(value, type):
        result = {_camel(f.name): plain_data(getattr(value, f.name)) for f in fields(value)}
    elif isinstance(value, Mapping):
        result = {str(key): plain_data(item) for key, item in value.items()}
    elif isinstance(value, tuple | list | set | frozenset):
        result = [plain_data(item) for item in value]
    elif isinstance(value, datetime):
        result = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    elif isinstance(value, Enum):
        result = value.value
    elif isinstance(value, float) and not math.isfinite(value):
        result = "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return result


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
