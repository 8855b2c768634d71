"""`sojourn predict`: ask a served model, and show its answer row by row."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.options import format_option
from sojourn.cli.tables import print_data, print_table

if TYPE_CHECKING:
    import numpy as np

_VALUES_SHOWN = 10
_ROWS_SHOWN = 20


@click.command(short_help="Ask a served model for predictions.")
@click.argument("url")
@click.option("--input", "source", required=True, metavar="FILE", help=".json, .npz or .npy; - reads standard input.")
@click.option("--model", metavar="NAME", help="The model, where URL names only a server of several.")
@click.option("--protocol", type=click.Choice(("v1", "v2")), help="By default what URL or the server says, V2 first.")
@click.option("--signature", default="serving_default", show_default=True, help="Signature of the SavedModel.")
@click.option("--rows", type=click.IntRange(min=1), metavar="N", help="Send only the first N rows.")
@click.option("--wait", default=0.0, show_default=True, metavar="SECONDS", help="Wait for a server that is starting.")
@click.option("--timeout", default=30.0, show_default=True, metavar="SECONDS", help="For one request.")
@format_option
def predict(url: str, source: str, rows: int | None, output: str, **options: Any) -> None:
    """Ask a served model for predictions.

    URL is host:port of a server, or a model on it: http://host:port/v1/models/NAME (TensorFlow Serving's REST
    protocol) or http://host:port/v2/models/NAME (Open Inference Protocol).

    The input is an array, arrays by name, or a request of either protocol.
    """
    from sojourn.client.inputs import first_rows, read_inputs
    from sojourn.client.predict import Predictor

    inputs = read_inputs(source, sys.stdin.buffer.read() if source == "-" else None)
    if rows is not None:
        inputs = first_rows(inputs, rows)
    with Predictor(url, **options) as predictor:
        outputs = predictor(inputs)
    if output == "table":
        show(outputs)
    else:
        print_data({name: array.tolist() for name, array in outputs.items()}, output)


def show(outputs: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """One line per row of the batch; a vector of numbers also shows where its largest value is."""
    heads, columns, numbers = ["ROW"], [], ["ROW"]
    for name, array in outputs.items():
        heads.append(name.upper())
        columns.append([_cell(row) for row in array] if array.ndim else [_cell(array)])
        if array.ndim == 2 and array.dtype.kind == "f" and array.shape[1] > 1:
            heads.append("ARGMAX")
            numbers.append("ARGMAX")
            columns.append([str(index) for index in array.argmax(axis=1)])
    count = max((len(column) for column in columns), default=0)
    shown = min(count, _ROWS_SHOWN)
    print_table(
        heads,
        [[str(i), *(column[i] if i < len(column) else "" for column in columns)] for i in range(shown)],
        right=numbers,
    )
    if shown < count:
        click.echo(f"... {count - shown} more rows; -o json shows all")


def _cell(value: Any) -> str:
    flat = value.reshape(-1) if hasattr(value, "reshape") else [value]
    texts = [
        f"{item:.4g}" if getattr(item, "dtype", None) is not None and item.dtype.kind == "f" else str(item)
        for item in flat[:_VALUES_SHOWN]
    ]
    return " ".join(texts) + (f" ... ({len(flat)} values)" if len(flat) > _VALUES_SHOWN else "")
