"""Looks up what a job would find that a migration is about to bring here."""

from __future__ import annotations

from sojourn_operator.engines.names import account_name, token_secret_name
from sojourn_operator.engines.pods import pod_template
from sojourn_operator.migration.names import MIGRATION_UID
from sojourn_operator.runtime.objects import is_being_deleted
from sojourn_operator.runtime.port import ClusterPort
from sojourn_operator.trainingjob.checks import Json, checks
from sojourn_operator.trainingjob.children import new_attempt
from sojourn_operator.trainingjob.decide import Decision
from sojourn_operator.trainingjob.feasible import check_feasible
from sojourn_operator.trainingjob.frozen import ImageDefaults
from sojourn_operator.trainingjob.observe import Observed
from sojourn_operator.trainingjob.surroundings import look_around, needs_of


def look_up(port: ClusterPort, seen: Observed, defaults: ImageDefaults) -> list[Json] | None:
    """The checks of a job that a migration made and that waits for its run; None for every other job.

    A job that starts by itself needs none: its pods say what they lack, and go on when it comes.
    """
    spec, metadata = seen.spec, seen.job["metadata"]
    if spec is None or not spec.suspend or seen.attempts or is_being_deleted(seen.job):
        return None
    if MIGRATION_UID not in metadata.get("labels", {}):
        return None
    feasible = check_feasible(spec, seen.stores, seen.holder)
    if not feasible.ok:
        return None
    attempt = new_attempt(seen, Decision("Start", "", number=1), feasible, defaults)
    pod = pod_template(attempt, "auto", "")["spec"]
    own = frozenset({account_name(metadata["name"]), token_secret_name(metadata["name"])})
    needs = needs_of(metadata["namespace"], pod, spec.workers.replicas, own)
    return checks(needs, look_around(port, needs))
