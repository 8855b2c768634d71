"""Label selectors, as the API server's `labelSelector` parameter writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Matcher = Callable[[Mapping[str, str]], bool]

_SET = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<operator>in|notin)\s+\((?P<values>[^)]*)\)$")
_SEPARATOR = re.compile(r",(?![^(]*\))")


def parse_selector(text: str) -> Matcher:
    """A predicate on labels for `a=b,c!=d,e,!f,g in (h, i),j notin (k)`; "" matches everything.

    Raises:
        ValueError: it is not a selector.
    """
    requirements = [_requirement(part.strip()) for part in _SEPARATOR.split(text) if part.strip()]
    return lambda labels: all(requirement(labels) for requirement in requirements)


def _requirement(text: str) -> Matcher:
    if match := _SET.match(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["operator"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if "!=" in text:
        key, _, value = (part.strip() for part in text.partition("!="))
        return lambda labels: labels.get(key) != value
    if "=" in text:
        key, _, value = (part.strip() for part in text.replace("==", "=").partition("="))
        return lambda labels: labels.get(key) == value
    if text.startswith("!"):
        return lambda labels: text[1:].strip() not in labels
    if re.search(r"[\s()]", text):
        raise ValueError(f"not a label selector: {text!r}")
    return lambda labels: text in labels
