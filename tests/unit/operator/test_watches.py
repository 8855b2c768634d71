"""What the operator watches, and so holds in memory."""

from __future__ import annotations

from helpers.operator import Harness
from sojourn_operator.engines.names import MANAGED
from sojourn_operator.main import CONTROLLERS
from sojourn_operator.resources import GROUP, HORIZONTAL_POD_AUTOSCALERS, PERSISTENT_VOLUME_CLAIMS

# Few, and made by users: what they say decides what the operator makes.
OF_USERS = {HORIZONTAL_POD_AUTOSCALERS, PERSISTENT_VOLUME_CLAIMS}


def test_of_kinds_that_everybody_makes_only_its_own_objects_are_held() -> None:
    """One watch without the label, and every pod of the cluster is in the operator's memory."""
    informers = Harness([kind.make for kind in CONTROLLERS]).manager.caches()[""].informers
    labels = {each.scope.resource: each.scope.labels for each in informers if each.scope.resource.group != GROUP}
    assert {resource for resource, selector in labels.items() if selector != MANAGED} == OF_USERS
