"""Parts of Kubernetes' own API that resources embed: object metadata, conditions, quantities."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError

from sojourn.api import patterns
from sojourn.api.base import JsonObject, Model

GROUP: Final = "sojourn.dev"
VERSION: Final = "v1alpha1"
ApiVersion = Literal["sojourn.dev/v1alpha1"]
SET_BY_SERVER: Final = "Set by the API server."
API_VERSION: Final[ApiVersion] = "sojourn.dev/v1alpha1"

Time = Annotated[AwareDatetime, Field(strict=False)]

_FACTORS: Final = {
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** (power + 1) for power, unit in enumerate("kMGTP")},
    **{unit: Decimal(1024) ** (power + 1) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"))},
}


def parse_quantity(text: str) -> Decimal:
    """The number that a Kubernetes quantity stands for: "500m" -> 0.5, "2Gi" -> 2147483648."""
    number = text.rstrip("".join(_FACTORS))
    return Decimal(number) * _FACTORS.get(text[len(number) :], Decimal(1))


def _quantity_text(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        raise PydanticCustomError("quantity_float", "a fraction has to be quoted", {"value": value})
    return value


def _quantity_schema(pattern: patterns.Pattern) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": pattern.regex,
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
        }
    )


CpuQuantity = Annotated[
    str,
    Field(pattern=patterns.CPU.regex, max_length=32),
    BeforeValidator(_quantity_text),
    _quantity_schema(patterns.CPU),
]
MemoryQuantity = Annotated[
    str,
    Field(pattern=patterns.MEMORY.regex, max_length=32),
    BeforeValidator(_quantity_text),
    _quantity_schema(patterns.MEMORY),
]
Bandwidth = Annotated[
    str,
    Field(pattern=patterns.BANDWIDTH.regex, max_length=32),
    BeforeValidator(_quantity_text),
    _quantity_schema(patterns.BANDWIDTH),
]


class NameReference(Model):
    """Another object of the same namespace."""

    name: Annotated[
        str,
        Field(
            pattern=patterns.OBJECT_NAME.regex,
            max_length=253,
            examples=["my-object"],
            description="Name of the object.",
        ),
    ]


class ObjectMeta(Model):
    """Name, namespace and labels, and the fields that an API server adds to an object it returns."""

    name: str = Field(
        examples=["digits"],
        pattern=patterns.JOB_NAME.regex,
        max_length=40,
        description="Name of the object, unique in its namespace; a DNS label of at most 40 characters, "
        "because the names of pods and services are built from it.",
    )
    namespace: str | None = Field(
        default=None,
        pattern=patterns.NAMESPACE.regex,
        max_length=63,
        description="Namespace of the object. Runs that are started without a cluster do without.",
    )
    labels: dict[str, str] = Field(default={}, description="Labels to select objects by.")
    annotations: dict[str, str] = Field(default={}, description="Notes for people and tools.")
    uid: str | None = Field(default=None, description=SET_BY_SERVER)
    resource_version: str | None = Field(default=None, description=SET_BY_SERVER)
    generation: int | None = Field(default=None, description=SET_BY_SERVER)
    creation_timestamp: Time | None = Field(default=None, description=SET_BY_SERVER)
    deletion_timestamp: Time | None = Field(default=None, description=SET_BY_SERVER)
    deletion_grace_period_seconds: int | None = Field(default=None, description=SET_BY_SERVER)
    finalizers: tuple[str, ...] = Field(
        default=(), strict=False, description="What has to happen before the object goes."
    )
    owner_references: tuple[JsonObject, ...] = Field(
        default=(), strict=False, description="Objects that this one belongs to."
    )
    managed_fields: tuple[JsonValue, ...] = Field(default=(), strict=False, description=SET_BY_SERVER)


class Condition(Model):
    """One observation about an object, in the form of metav1.Condition."""

    type: str = Field(
        examples=["Ready"],
        pattern=patterns.CONDITION_TYPE.regex,
        max_length=64,
        description="What is observed, such as Ready or Complete.",
    )
    status: Literal["True", "False", "Unknown"] = Field(examples=["True"], description="Whether it holds.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="The metadata.generation of the spec that this was observed for."
    )
    last_transition_time: Time = Field(examples=["2025-01-31T12:00:00Z"], description="When status last changed.")
    reason: str = Field(
        examples=["StoreReady"],
        pattern=patterns.CONDITION_REASON.regex,
        max_length=128,
        description="Why, as one CamelCase word that programs can rely on.",
    )
    message: str = Field(
        examples=["the store holds runs"], max_length=4096, description="Why, for people; may be empty."
    )
