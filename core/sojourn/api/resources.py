"""What a pod gets of a node."""

from __future__ import annotations

from pydantic import Field

from sojourn.api.base import Model
from sojourn.api.meta import CpuQuantity, MemoryQuantity, parse_quantity


class Resources(Model):
    """What one worker gets; requests and limits are the same."""

    cpu: CpuQuantity = Field(default="1", description='CPU cores: 2, 500m or "0.5".')
    memory: MemoryQuantity = Field(default="2Gi", description="Memory: 512Mi, 2Gi.")
    gpu: int = Field(default=0, ge=0, le=64, description="Whole GPUs.")

    @property
    def cpu_count(self) -> float:
        """CPU cores as a number."""
        return float(parse_quantity(self.cpu))

    @property
    def memory_bytes(self) -> int:
        """Memory in bytes."""
        return int(parse_quantity(self.memory))


class ResourceChanges(Model):
    """What is to be different; what is absent stays as it is."""

    cpu: CpuQuantity | None = Field(default=None, description='CPU cores: 2, 500m or "0.5".')
    memory: MemoryQuantity | None = Field(default=None, description="Memory: 512Mi, 2Gi.")
    gpu: int | None = Field(default=None, ge=0, le=64, description="Whole GPUs.")
