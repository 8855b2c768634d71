"""The table of rights gives no more than the rules of the house allow."""

from __future__ import annotations

import pytest

from sojourn_operator import rbac
from sojourn_operator.rbac import ROLES, Role, rules
from sojourn_operator.resources import ALL, CHECKPOINTS, GROUP, PODS, SECRETS, TRAINING_ATTEMPTS, TRAINING_JOBS

VERBS = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

by_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


@by_role
def test_verbs_are_spelt_out(role: Role) -> None:
    assert {verb for right in role.rights for verb in right.verbs} <= VERBS
    assert {resource for right in role.rights for resource in right.resources} <= set(ALL)


@by_role
def test_secrets_are_read_by_the_operator_at_home_only(role: Role) -> None:
    reads = any(role.allows(verb, SECRETS) for verb in ("get", "list", "watch", "update", "patch"))
    assert reads == (role is rbac.HOME)


@by_role
def test_rules_say_what_the_rights_say(role: Role) -> None:
    written = {
        (group, resource, verb)
        for rule in rules(role)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    meant = {
        (resource.group, f"{resource.plural}/{right.subresource}" if right.subresource else resource.plural, verb)
        for right in role.rights
        for resource in right.resources
        for verb in right.verbs
    }
    assert written == meant


def test_every_role_is_in_the_table() -> None:
    assert {value for value in vars(rbac).values() if isinstance(value, Role)} == set(ROLES)


def test_every_kind_of_ours_can_be_worked_on() -> None:
    for resource in ALL:
        if resource.group == GROUP:
            role = rbac.OPERATOR if resource.namespaced else rbac.CLUSTER
            assert all(role.allows(verb, resource) for verb in ("get", "list", "watch", "patch")), resource
            assert role.allows("patch", resource, "status"), resource


def test_people_look_and_work_but_do_not_make_what_is_found_out() -> None:
    assert rbac.EDIT.allows("create", TRAINING_JOBS)
    assert not rbac.EDIT.allows("create", CHECKPOINTS)
    assert not rbac.EDIT.allows("patch", TRAINING_ATTEMPTS)
    assert not rbac.EDIT.allows("patch", TRAINING_JOBS, "status")
    assert rbac.VIEW.allows("watch", TRAINING_ATTEMPTS)


def test_another_cluster_reaches_no_pods() -> None:
    for verb in VERBS:
        assert not rbac.REMOTE.allows(verb, PODS)
        assert not rbac.REMOTE_CLUSTER.allows(verb, PODS)
