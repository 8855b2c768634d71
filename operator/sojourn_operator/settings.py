"""The operator's settings: this module alone reads flags and the environment."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sojourn import __version__
from sojourn.errors import InvalidInput

PREFIX = "SOJOURN_OPERATOR_"


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. A flag beats the environment, which beats the default."""

    kubeconfig: str = _setting("", "kubeconfig file; empty: the pod's service account, else the user's own kubeconfig")
    context: str = _setting("", "context of the kubeconfig; empty: its current one")
    namespace: str = _setting("", "act in this namespace only, without RemoteClusters; empty: everywhere")
    namespaces: str = _setting(
        "",
        "act in these namespaces only, comma-separated, beside other operators with other Leases",
    )
    operator_namespace: str = _setting(
        "", "namespace of the Lease and of the kubeconfig Secrets; empty: the pod's own, else `namespace`, else default"
    )
    cluster_name: str = _setting(
        "", "how other clusters and people call this cluster; empty: the RemoteCluster's name there"
    )
    leader_elect: bool = _setting(True, "act only while holding the Lease, so that several replicas may run")
    lease_name: str = _setting("sojourn-operator", "name of the Lease")
    lease_seconds: float = _setting(15.0, "how long a silent leader stays leader")
    renew_deadline_seconds: float = _setting(10.0, "how long a leader that cannot renew goes on before it exits")
    retry_seconds: float = _setting(2.0, "how often the Lease is renewed, or tried for")
    workers: int = _setting(4, "reconciles at once, for each kind")
    qps: float = _setting(100.0, "requests per second to one API server, on average")
    burst: int = _setting(200, "requests to one API server at once after a quiet time")
    request_seconds: float = _setting(30.0, "time limit of one request")
    watch_seconds: float = _setting(
        60.0, "after so long a watch is opened anew, and one without an end is taken for dead"
    )
    resync_seconds: float = _setting(600.0, "every object is looked at again after so long, even if nothing changed")
    backoff_seconds: float = _setting(0.5, "first wait after a failed reconcile; it doubles with each failure")
    backoff_cap_seconds: float = _setting(120.0, "longest wait after failed reconciles")
    progress_seconds: float = _setting(
        10.0, "how often mere progress is written to a status; less often where it would take a fifth of `qps`"
    )
    metrics_address: str = _setting(":8080", "where Prometheus scrapes metrics; empty: nowhere")
    health_address: str = _setting(":8081", "where /healthz and /readyz answer; empty: nowhere")
    log_format: str = _setting("json", "json or text")
    log_level: str = _setting("info", "debug, info, warning or error")
    trainer_image: str = _setting(f"sojourn-trainer:{__version__}", "image of training pods whose job names none")
    serving_image: str = _setting(f"sojourn-serving:{__version__}", "image of model servers that name none")
    mover_image: str = _setting(
        f"sojourn-mover:{__version__}", "image of the pods that probe stores, copy checkpoints and write fences"
    )
    image_pull_policy: str = _setting("IfNotPresent", "pull policy of these images: Always, IfNotPresent or Never")
    image_pull_secrets: str = _setting("", "comma-separated names of pull secrets that pods with these images mention")


def flag_of(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def load_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from flags and environment.

    Raises:
        InvalidInput: an unknown variable with our prefix, or a value of the wrong type.
        SystemExit: unknown flags, or --help.
    """
    parser = argparse.ArgumentParser(prog="python -m sojourn_operator", description="Sojourn's operator.")
    for setting in fields(Settings):
        text = f"{setting.metadata['help']} ({variable_of(setting.name)}; default: {setting.default!r})"
        options: dict[str, Any] = {"default": None, "help": text.replace("%", "%%")}
        if isinstance(setting.default, bool):
            options |= {"nargs": "?", "const": "true"}
        parser.add_argument(flag_of(setting.name), dest=setting.name, **options)
    given = vars(parser.parse_args(arguments))
    known = {variable_of(setting.name): setting.name for setting in fields(Settings)}
    if unknown := sorted(name for name in environment if name.startswith(PREFIX) and name not in known):
        raise InvalidInput(f"unknown setting {unknown[0]}", hint="docs/reference/operator-settings.md lists them all")
    values = {known[name]: (name, text) for name, text in environment.items() if name in known}
    values.update({name: (flag_of(name), text) for name, text in given.items() if text is not None})
    return Settings(**{name: _parse(name, source, text) for name, (source, text) in values.items()})


def environment() -> Mapping[str, str]:
    """The process's environment."""
    return os.environ


def _parse(name: str, source: str, text: str) -> Any:
    (setting,) = (entry for entry in fields(Settings) if entry.name == name)
    kind = type(setting.default)
    try:
        return _PARSERS[kind](text.strip())
    except ValueError as error:
        raise InvalidInput(f"{source}={text!r} is not a {_WORDS[kind]}") from error


def _parse_bool(text: str) -> bool:
    if re.fullmatch("(?i)true|1|yes|on", text):
        return True
    if re.fullmatch("(?i)false|0|no|off", text):
        return False
    raise ValueError(text)


_PARSERS: Mapping[type, Callable[[str], Any]] = {bool: _parse_bool, int: int, float: float, str: str}
_WORDS: Mapping[type, str] = {bool: "truth value (true or false)", int: "whole number", float: "number", str: "text"}
