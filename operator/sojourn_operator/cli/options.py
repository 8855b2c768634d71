"""What the verbs for clusters share: which cluster, which namespace, how long to wait, and names that complete."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from sojourn.errors import SojournError

if TYPE_CHECKING:
    from sojourn_operator.client import Client, Job, Server

F = TypeVar("F", bound=Callable[..., Any])
EXTRA_HINT = "Install it with: pip install 'sojourn[cluster]'"
_OPTIONS = ("kubeconfig", "context", "namespace")


def cluster_options(function: F) -> F:
    """--kubeconfig, --context and -n, as one argument `client`, which is connected on the first request."""

    @functools.wraps(function)
    def with_client(*args: Any, **options: Any) -> Any:
        chosen = {name: options.pop(name) or "" for name in _OPTIONS}
        connected = client(**chosen)
        from sojourn_operator.cli.explain import explained

        with explained(connected.namespace):
            return function(*args, client=connected, **options)

    decorated: Any = with_client
    for option in (
        click.option("-n", "--namespace", help="Namespace.  [default: that of the context]"),
        click.option("--context", help="Context of the kubeconfig.  [default: the current one]"),
        click.option("--kubeconfig", metavar="FILE", help="Kubeconfig file.  [default: $KUBECONFIG, ~/.kube/config]"),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def client(kubeconfig: str = "", context: str = "", namespace: str = "") -> Client:
    """The client for these options.

    Raises:
        SojournError: the packages for clusters are not installed.
        InvalidInput: the kubeconfig cannot be used.
    """
    try:
        from sojourn_operator.client import connect

        return connect(kubeconfig=kubeconfig, context=context, namespace=namespace)
    except ModuleNotFoundError as error:
        raise SojournError(
            f"Clusters need the package {error.name!r}, which is not installed.", hint=EXTRA_HINT
        ) from error


def named(plural: str, metavar: str) -> Callable[[F], F]:
    """The argument `name`, completed with the names of the cluster's objects of that kind."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names(plural, ctx.params) if name.startswith(incomplete)]

    return click.argument("name", metavar=metavar, shell_complete=complete)


def names(plural: str, params: dict[str, Any]) -> list[str]:
    """Names of objects of a kind, for completion: none where the cluster cannot be asked."""
    try:
        from sojourn_operator.resources import ALL

        resource = next(resource for resource in ALL if resource.plural == plural)
        found = client(**{name: params.get(name) or "" for name in _OPTIONS})
        return [it["metadata"]["name"] for it in found.all(resource, found.namespace if resource.namespaced else "")]
    except SojournError:
        return []


def tell(said: str, about: Job | Server, output: str) -> None:
    """What was done, as a sentence, or with -o the object as it is now."""
    if output == "table":
        click.echo(said)
    else:
        from sojourn.cli.tables import print_data

        print_data(about.object, output)


def timeout_option(default: float | None, what: str) -> Callable[[F], F]:
    """--timeout, as `timeout`."""
    return click.option(
        "--timeout", type=float, default=default, show_default=default is not None, metavar="SECONDS", help=what
    )
