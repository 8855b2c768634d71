"""How an attempt becomes pods: one engine per way, chosen by spec.engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sojourn_operator.engines.base import Engine
from sojourn_operator.engines.job import JobEngine
from sojourn_operator.engines.kuberay import KubeRayEngine

ENGINES: Final[Mapping[str, Engine]] = {"Job": JobEngine(), "KubeRay": KubeRayEngine()}
