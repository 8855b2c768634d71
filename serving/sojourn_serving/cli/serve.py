"""`sojourn serve`: replicas of an exported model behind one port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sojourn.cli.options import store_option
from sojourn.client.extras import require
from sojourn.client.stores import existing_store
from sojourn_serving.cli.cache import cache_folder
from sojourn_serving.export.choose import choose_export
from sojourn_serving.export.files import fetch
from sojourn_serving.server.settings import MEBIBYTE, ServerSettings
from sojourn_serving.server.source import Servable, find
from sojourn_serving.server.supervisor import Supervisor

NEEDED = ("tensorflow", "starlette", "uvicorn", "uvloop", "httptools", "orjson", "prometheus_client")


@click.command(short_help="Serve an exported model over HTTP.")
@click.argument("model")
@store_option
@click.option("--name", help="The model's name in URLs. By default the run's, or the folder's.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8501, show_default=True, help="Port to listen on; 0 takes any free one.")
@click.option("--replicas", default=1, show_default=True, help="Processes; one per core that serving may use.")
@click.option("--threads", default=1, show_default=True, help="TensorFlow threads within an operation, per replica.")
@click.option("--max-batch", default=64, show_default=True, help="Rows run together at most; 1 turns batching off.")
@click.option("--max-waiting", default=4096, show_default=True, help="Rows that may wait per replica, then 503.")
@click.option("--max-body", default=32, show_default=True, help="Largest request body in MiB.")
@click.option("--grace", default=30.0, show_default=True, help="Seconds that requests in flight get at shutdown.")
@click.option("--drain-delay", default=0.0, show_default=True, help="Seconds not ready but accepting, at shutdown.")
@click.option("--access-log", is_flag=True, help="Print one JSON object per request.")
def serve(model: str, store: str | None, name: str | None, max_body: int, **options: Any) -> None:
    """Serve MODEL until SIGTERM or Ctrl-C.

    MODEL is a folder (a SavedModel, an export, or versions as TensorFlow Serving reads them), or a run's address
    (digits, digits@best, digits@1200) whose newest export is fetched and verified. With --store it is an address.

    It speaks TensorFlow Serving's REST protocol (/v1/models/NAME:predict) and the Open Inference Protocol
    (/v2/models/NAME/infer), and answers /healthz, /readyz and /metrics.
    """
    require("serving", NEEDED, "Serving")
    default_name, servable = locate(model, store)
    settings = ServerSettings(
        model=servable.path,
        name=name or default_name,
        version=servable.version,
        golden=servable.golden,
        max_body=max_body * MEBIBYTE,
        **options,
    )

    def ready(address: str) -> None:
        click.echo(f"ready: {address}/v1/models/{settings.name}:predict and {address}/v2/models/{settings.name}/infer")

    Supervisor(settings, say=lambda line: click.echo(line, err=True), on_ready=ready).run()


def locate(model: str, store: str | None) -> tuple[str, Servable]:
    """The default name and the files of MODEL: a folder where one is there, else a run's address.

    Raises:
        NotFound: neither a folder nor an exported run.
    """
    folder = Path(model)
    if store is None and folder.is_dir():
        servable = find(folder)
        named = servable.path.parent if servable.path.name.isdigit() else servable.path
        return named.name, servable
    opened = existing_store(store)
    log, export = choose_export(opened, model)
    fetched = find(fetch(opened, log.prefix, export, cache_folder() / "exports"))
    return log.state.name, Servable(fetched.path, export.version, fetched.golden)
