"""`sojourn dashboard`: the Ray dashboard of a running job, on a port of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sojourn_operator.cli.options import cluster_options, named

if TYPE_CHECKING:
    from sojourn_operator.client import Client


@click.command(short_help="Open a running job's Ray dashboard.")
@named("trainingjobs", "JOB")
@click.option("--port", default=0, show_default=True, help="Port of this machine; 0 takes any free one.")
@click.option("--open/--no-open", "browser", default=True, show_default=True, help="Open it in the browser.")
@cluster_options
def dashboard(client: Client, name: str, port: int, browser: bool) -> None:
    """Open a running job's Ray dashboard, through the API server, until Ctrl-C.

    Ray asks for the job's token. It is in a Secret of the job's namespace; the command that reads it is printed.
    """
    from sojourn_operator.client.forward import Forwarder, dashboard_pod

    found = client.job(name)
    pod = dashboard_pod(found)
    with Forwarder(client.pods, client.namespace, pod, 8265, port) as forwarder:
        click.echo(f"Ray dashboard of {name} ({pod}): {forwarder.url}   (Ctrl-C ends it)")
        click.echo(f"Its token:  {token_command(found.name, client.namespace)}", err=True)
        if browser:
            click.launch(forwarder.url)
        forwarder.serve()


def token_command(job: str, namespace: str) -> str:
    """How a person reads the token of a job's dashboard."""
    from sojourn_operator.engines.names import token_secret_name

    return f"kubectl get secret {token_secret_name(job)} -n {namespace} -o jsonpath='{{.data.token}}' | base64 -d"
