"""What every resource model has in common: camelCase in JSON, no unknown fields, rules said once.

A rule that ties several fields together carries its CEL form for the CRD beside its Python form, so that `kubectl`
and the command line refuse the same manifests in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

JsonObject = dict[str, JsonValue]

KNOWN_BROKEN: Final = "known_broken"
DEFINES_RUN: Final = "it defines the run; start a new TrainingJob"
RULES_KEY: Final = "x-rules"
_SPELLINGS: Final = {"nan": "NaN", "uid": "UID", "url": "URL"}


def camel_case(name: str) -> str:
    """The JSON name of a Python attribute: global_batch_size -> globalBatchSize, on_nan -> onNaN."""
    head, *tail = name.split("_")
    return head + "".join(_SPELLINGS.get(word, word.capitalize()) for word in tail)


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on one object that no single field can state.

    Args:
        message: what a person reads when it is broken.
        cel: the condition for the API server; `self` is the object. "" leaves it to Python.
        check: the condition in Python, given the validated object; None leaves it to the API server.
        at: JSON path, from the object, of the value to complain about.
        touches: JSON names of the object's fields that the rule reads; () means the first of `at`.
        exclusive: it says that exactly one of `touches` is set.
    """

    message: str
    cel: str = ""
    check: Callable[[Any], bool] | None = None
    at: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    exclusive: bool = False

    @property
    def transition(self) -> bool:
        """Whether it compares an object with what it was before."""
        return "oldSelf" in self.cel

    @property
    def reads(self) -> tuple[str, ...]:
        """JSON names of the object's fields that the rule depends on."""
        return self.touches or self.at[:1]


def _add_rules(schema: dict[str, Any], model: type[Model]) -> None:
    """Carry the rules along in the model's JSON schema; sojourn.api.schema decides what becomes of them."""
    if model.rules:
        schema[RULES_KEY] = list(model.rules)


class Model(BaseModel):
    """Base of all resources and their parts: immutable, strict about types, closed to unknown fields."""

    model_config = ConfigDict(
        alias_generator=camel_case,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_extra=_add_rules,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, data: Any) -> Any:
        """The API server drops nulls before it sets defaults; so do we."""
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data

    @model_validator(mode="after")
    def _obey_rules(self, info: ValidationInfo) -> Self:
        known: Set[Rule] = (info.context or {}).get(KNOWN_BROKEN, frozenset())
        broken = [rule for rule in self.rules if rule.check and rule not in known and not rule.check(self)]
        if broken:
            raise ValidationError.from_exception_data(type(self).__name__, [self._complaint(rule) for rule in broken])
        return self

    def _complaint(self, rule: Rule) -> InitErrorDetails:
        context: dict[str, Any] = {"message": rule.message, "rule": rule}
        return InitErrorDetails(type=PydanticCustomError("rule", "{message}", context), loc=rule.at, input=None)

    @classmethod
    def from_manifest(cls, data: Mapping[str, Any], *, known_broken: Set[Rule] = frozenset()) -> Self:
        """Validate plain data whose keys are the JSON names; rules in `known_broken` are not applied.

        Raises:
            pydantic.ValidationError: `sojourn.api.parse` turns it into positions and advice.
        """
        return cls.model_validate(data, by_alias=True, by_name=False, context={KNOWN_BROKEN: known_broken})

    def to_manifest(self) -> dict[str, Any]:
        """Plain JSON data with JSON names, defaults included, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Union(Model):
    """An object of which exactly one field is set."""

    @property
    def choice(self) -> str:
        """Python name of the field that is set."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)


def exactly_one(*names: str) -> Rule:
    """Rule: exactly one of the fields with these JSON names is set."""

    def check(obj: Model) -> bool:
        fields = {camel_case(name): getattr(obj, name) for name in type(obj).model_fields}
        return sum(fields[name] is not None for name in names) == 1

    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in names)
    listed = ", ".join(names[:-1]) + " and " + names[-1]
    return Rule(f"exactly one of {listed} must be set", f"{count} == 1", check, touches=names, exclusive=True)


def unchangeable(*names: str, why: str) -> tuple[Rule, ...]:
    """Rules for the API server alone: fields that are always present keep the value they were created with."""
    return tuple(Rule(f"{name} cannot change: {why}", f"self.{name} == oldSelf.{name}", at=(name,)) for name in names)


def unchangeable_presence(name: str, why: str) -> Rule:
    """A rule for the API server alone: an optional field neither appears nor goes."""
    message = f"{name} cannot be set or removed later: {why}"
    return Rule(message, f"has(self.{name}) == has(oldSelf.{name})", at=(name,))


def unchangeable_optional(*names: str, why: str) -> tuple[Rule, ...]:
    """The same for optional fields, which may neither appear, change nor go."""
    return tuple(
        Rule(
            f"{name} cannot be set, changed or removed later: {why}",
            f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
            at=(name,),
        )
        for name in names
    )
