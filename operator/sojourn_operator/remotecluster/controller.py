"""RemoteCluster: keeps a connection to another cluster, and says whether it can be used."""

from __future__ import annotations

from sojourn_operator.context import Context
from sojourn_operator.remotecluster.observe import Login, Problem, look, read_login
from sojourn_operator.remotecluster.plan import LOOK_SECONDS, plan
from sojourn_operator.remotecluster.status import kept, other_keeper, refused_status, seen_status
from sojourn_operator.resources import REMOTE_CLUSTERS, SECRETS
from sojourn_operator.runtime.actions import perform
from sojourn_operator.runtime.controller import Watch
from sojourn_operator.runtime.objects import Key, Object
from sojourn_operator.runtime.watching import itself


class RemoteClusterController:
    """Looks at each cluster every so often; a rotated credential is picked up by the next look."""

    name = "remotecluster"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        # Which credential each connection of this process was made with.
        self._connected: dict[str, str] = {}
        self.watches = (Watch(REMOTE_CLUSTERS, itself),)

    def reconcile(self, key: Key) -> float | None:
        cluster = self._cluster.cached(REMOTE_CLUSTERS).get("", key.name)
        if cluster is None:
            self._disconnect(key.name)
            return None
        now = self._context.clock.now()
        if other_keeper(cluster, self._context.home, now):
            self._disconnect(key.name)
            return LOOK_SECONDS
        return perform(plan(cluster, self._status(cluster)), self._cluster)

    def _status(self, cluster: Object) -> dict[str, object]:
        name = cluster["metadata"]["name"]
        reference = cluster["spec"]["kubeconfigSecretRef"]
        # Read anew each time and kept nowhere: the cache holds no Secrets.
        home, now = self._context.home, self._context.clock.now()
        secret = self._cluster.port.get(SECRETS, home, reference["name"])
        login = read_login(cluster, secret)
        if isinstance(login, Problem):
            self._disconnect(name)
            # Without the Secret it may be meant for another operator of this cluster.
            return kept(refused_status(cluster, login, now), home if secret is not None else "", now)
        remotes = self._context.remotes
        if self._connected.get(name) != login.digest or remotes.port(name) is None:
            remotes.connect(self._context.dial(name, login.connection))
            self._connected[name] = login.digest
        port = remotes.port(name)
        assert port is not None
        lease_name = cluster["spec"].get("operatorLeaseName", "sojourn-operator")
        sight = look(port, login.connection, _homes(cluster, login, home), lease_name)
        return kept(seen_status(cluster, sight, now), home, now)

    def _disconnect(self, name: str) -> None:
        self._connected.pop(name, None)
        self._context.remotes.disconnect(name)


def _homes(cluster: Object, login: Login, home: str) -> tuple[str, ...]:
    """Where the other cluster's operator may be."""
    if given := cluster["spec"].get("operatorNamespace"):
        return (given,)
    return tuple(dict.fromkeys((home, login.connection.namespace or home)))
