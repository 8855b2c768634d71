"""Why pods do not serve, as a person should read it in a condition."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sojourn_operator.modelserver.trouble import trouble_of


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "digits-v1-x"}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"name": "server", "state": {"waiting": {"reason": reason, "message": message}}}


def ended(name: str, code: int, message: str, key: str = "state") -> dict[str, Any]:
    return {"name": name, "state": {}, key: {"terminated": {"exitCode": code, "message": message}}}


CORRUPT = json.dumps({"reason": "Corrupt", "message": "a byte is wrong", "hint": "verify it"})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, None),
        ({"containerStatuses": [waiting("PodInitializing")]}, None),
        ({"containerStatuses": [waiting("ContainerCreating")]}, None),
        ({"initContainerStatuses": [ended("fetch", 0, "")]}, None),
        ({"containerStatuses": [waiting("ImagePullBackOff", "no such image")]}, ("ImagePullBackOff", "no such image")),
        ({"initContainerStatuses": [ended("fetch", 5, CORRUPT)]}, ("Corrupt", "a byte is wrong verify it")),
        (
            {"initContainerStatuses": [ended("fetch", 5, CORRUPT, "lastState")]},
            ("Corrupt", "a byte is wrong verify it"),
        ),
        (
            {"containerStatuses": [ended("server", 3, "one\ntwo\nthree\nError: out of memory", "lastState")]},
            ("ContainerFailed", "container server ended with exit code 3: two three Error: out of memory"),
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
                ]
            },
            ("Unschedulable", "no GPU"),
        ),
    ],
)
def test_what_keeps_a_pod_from_serving(status: dict[str, Any], expected: tuple[str, str] | None) -> None:
    found = trouble_of([pod(), pod(**status)])
    assert found == (expected and (expected[0], f"pod digits-v1-x: {expected[1]}"))


def test_a_failure_says_more_than_a_lack_of_room() -> None:
    no_room = {
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}]
    }
    found = trouble_of([pod(**no_room), pod(initContainerStatuses=[ended("fetch", 5, CORRUPT)])])
    assert found is not None
    assert found.reason == "Corrupt"
