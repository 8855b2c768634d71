"""Whether the pods of a job could run where a migration brings it, as far as that can be known (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from sojourn.api.meta import parse_quantity
from sojourn_operator.runtime.objects import Object
from sojourn_operator.trainingjob.surroundings import Named, Needs, Surroundings

Json = dict[str, str]
Result = Literal["Passed", "Failed", "Warning", "NotChecked"]
# A quota may count a resource under each of these names.
_QUOTA_NAMES: Final = ("{}", "requests.{}", "limits.{}")
_LARGER_QUOTA: Final = "have it raised, or ask for less in the migration's spec.resume (workers, resources)"
_OTHER_AMOUNTS: Final = "ask for other amounts in the migration's spec.resume.resources, or have it changed"


def checks(needs: Needs, around: Surroundings) -> list[Json]:
    """Every check with its result, in a fixed order."""
    return [
        _named("Secrets", "Secret", around.secrets, "spec.mapping.secrets"),
        _named("ConfigMaps", "ConfigMap", around.config_maps, "spec.mapping.configMaps"),
        _named("ServiceAccounts", "ServiceAccount", around.accounts, "spec.mapping.serviceAccounts"),
        _named("Claims", "PersistentVolumeClaim", around.claims, "spec.mapping.claims"),
        _quota(needs, around.quotas),
        _limits(needs, around.limits),
        _nodes(needs, around.nodes),
        _check(
            "Versions",
            "NotChecked",
            f"the versions of TensorFlow, Keras and Python in image {needs.image} are unknown: an image's name does "
            "not tell them; those of the run are in the manifest of each checkpoint",
        ),
    ]


def _check(name: str, result: Result, message: str) -> Json:
    return {"name": name, "result": result, "message": message[:4096]}


def _named(name: str, kind: str, found: Named, mapping: str) -> Json:
    missing = [each for each, there in found.items() if there is False]
    unknown = [f"{each} ({why})" for each, why in found.items() if isinstance(why, str)]
    if missing:
        words = f"there is no {kind} {', '.join(missing)}: create it, or name another in the migration's {mapping}"
        return _check(name, "Failed", words)
    if unknown:
        return _check(name, "NotChecked", f"{kind} {', '.join(unknown)}")
    return _check(name, "Passed", f"{kind} {', '.join(found)} is there" if found else f"the pods name no {kind}")


def _quota(needs: Needs, quotas: tuple[Object, ...] | str) -> Json:
    if isinstance(quotas, str):
        return _check("Quota", "NotChecked", quotas)
    found = [words for quota in quotas if not _is_scoped(quota) for words in _of_quota(needs, quota)]
    for result, words in found:
        if result == "Failed":
            return _check("Quota", "Failed", f"{words}: {_LARGER_QUOTA}")
    scoped = [quota["metadata"]["name"] for quota in quotas if _is_scoped(quota)]
    if found:
        return _check("Quota", "Warning", found[0][1])
    if scoped:
        return _check("Quota", "NotChecked", f"ResourceQuota {', '.join(scoped)} holds for some pods only")
    return _check("Quota", "Passed", "there is room in every ResourceQuota" if quotas else "there is no ResourceQuota")


def _is_scoped(quota: Object) -> bool:
    return bool(quota.get("spec", {}).get("scopes") or quota.get("spec", {}).get("scopeSelector"))


def _of_quota(needs: Needs, quota: Object) -> Iterator[tuple[Result, str]]:
    hard = quota.get("status", {}).get("hard") or quota.get("spec", {}).get("hard", {})
    used = quota.get("status", {}).get("used", {})
    wanted = {form.format(resource): amount for resource, amount in _totals(needs).items() for form in _QUOTA_NAMES}
    wanted |= {"pods": Decimal(needs.pods), "count/pods": Decimal(needs.pods)}
    for resource, amount in wanted.items():
        if resource not in hard:
            continue
        most, taken = parse_quantity(hard[resource]), parse_quantity(used.get(resource, "0"))
        where = f"ResourceQuota {quota['metadata']['name']}: {needs.pods} pods ask for {_text(amount)} of {resource}"
        if amount > most:
            yield "Failed", f"{where}, and no more than {hard[resource]} is allowed"
        elif amount > most - taken:
            yield "Warning", f"{where}, and {used[resource]} of {hard[resource]} is in use"


def _limits(needs: Needs, ranges: tuple[Object, ...] | str) -> Json:
    if isinstance(ranges, str):
        return _check("Limits", "NotChecked", ranges)
    for limit_range in ranges:
        for limit in limit_range.get("spec", {}).get("limits", ()):
            if limit.get("type") in ("Container", "Pod") and (words := _outside(needs.amounts, limit)):
                return _check(
                    "Limits", "Failed", f"LimitRange {limit_range['metadata']['name']}: {words}: {_OTHER_AMOUNTS}"
                )
    return _check("Limits", "Passed", "no LimitRange forbids it" if ranges else "there is no LimitRange")


def _outside(amounts: Mapping[str, str], limit: Mapping[str, Any]) -> str:
    for resource, amount in amounts.items():
        most, least = limit.get("max", {}).get(resource), limit.get("min", {}).get(resource)
        if most is not None and parse_quantity(amount) > parse_quantity(most):
            return f"a pod asks for {amount} of {resource}, and no more than {most} is allowed"
        if least is not None and parse_quantity(amount) < parse_quantity(least):
            return f"a pod asks for {amount} of {resource}, and no less than {least} is allowed"
    return ""


def _nodes(needs: Needs, nodes: tuple[Object, ...] | str) -> Json:
    if isinstance(nodes, str):
        return _check("Nodes", "NotChecked", nodes)
    fitting = [node for node in nodes if _takes(node, needs)]
    room = sum(_room(node, needs) for node in fitting)
    asked = ", ".join(f"{amount} of {resource}" for resource, amount in needs.amounts.items())
    chosen = "".join(f" with label {key}={value}" for key, value in needs.selector.items())
    if room < needs.pods:
        words = (
            f"the {len(fitting)} nodes{chosen} would hold {room} of {needs.pods} pods that ask for {asked} each, even "
            "if they were empty: nodes have to be added, by an autoscaler or by hand"
        )
        return _check("Nodes", "Warning", words)
    return _check("Nodes", "Passed", f"the {len(fitting)} nodes{chosen} could hold all {needs.pods} pods if empty")


def _takes(node: Object, needs: Needs) -> bool:
    labels = node["metadata"].get("labels", {})
    wanted = all(labels.get(key) == value for key, value in needs.selector.items())
    return wanted and not node.get("spec", {}).get("unschedulable", False)


def _room(node: Object, needs: Needs) -> int:
    """How many of the pods the node holds when nothing else runs there."""
    offered = node.get("status", {}).get("allocatable", {})
    each = [
        int(parse_quantity(offered.get(resource, "0")) / amount)
        for resource, text in needs.amounts.items()
        if (amount := parse_quantity(text)) > 0
    ]
    return min(each, default=needs.pods)


def _totals(needs: Needs) -> dict[str, Decimal]:
    return {resource: parse_quantity(amount) * needs.pods for resource, amount in needs.amounts.items()}


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
