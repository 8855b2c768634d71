"""From a kubeconfig to a client."""

from __future__ import annotations

from sojourn_operator.client.client import Client
from sojourn_operator.client.pods import KubernetesPods
from sojourn_operator.resources import ALL
from sojourn_operator.runtime.api import ApiServer, Limits
from sojourn_operator.runtime.clock import SystemClock
from sojourn_operator.runtime.connection import from_kubeconfig_file

FIELD_MANAGER = "sojourn-cli"


def connect(*, kubeconfig: str = "", context: str = "", namespace: str = "") -> Client:
    """A client for the cluster that a kubeconfig names.

    Args:
        kubeconfig: path; "" for $KUBECONFIG, else ~/.kube/config.
        context: "" for the current one.
        namespace: "" for the context's, else default.

    Raises:
        InvalidInput: the kubeconfig cannot be used.
    """
    connection = from_kubeconfig_file(kubeconfig, context)
    clock = SystemClock()
    port = ApiServer(connection, ALL, clock, limits=Limits(), field_manager=FIELD_MANAGER)
    return Client(port, KubernetesPods(kubeconfig, context), namespace or connection.namespace or "default", clock)
