"""The nearest valid word, and where a misplaced field belongs, found by walking the models."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin
from typing import Union as TypingUnion

from pydantic.fields import FieldInfo

from sojourn.api.base import Model, camel_case

Path = tuple[str | int, ...]


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be, or None."""
    by_folded = {_folded(choice): choice for choice in choices}
    found = difflib.get_close_matches(_folded(word), by_folded, n=1, cutoff=0.7)
    return by_folded[found[0]] if found else None


def _folded(word: str) -> str:
    return word.replace("_", "").replace("-", "").lower()


def fields_of(model: type[Model]) -> dict[str, Any]:
    """JSON name -> annotation, for every field of a model."""
    return {camel_case(name): info.annotation for name, info in model.model_fields.items()}


def infos_of(model: type[Model]) -> dict[str, FieldInfo]:
    """JSON name -> pydantic's record of the field."""
    return {camel_case(name): info for name, info in model.model_fields.items()}


def home_of(model: type[Model], path: Path) -> Path | None:
    """Where an unknown field at `path` was probably meant to be: a sibling's name, or the same name elsewhere."""
    *parent, name = path
    inner = model_at(model, parent)
    if inner is None or not isinstance(name, str):
        return None
    sibling = nearest(name, fields_of(inner))
    if sibling is None or _folded(sibling) != _folded(name):
        elsewhere = _place(model, name)
        if elsewhere is not None:
            return elsewhere
    if sibling is not None:
        return (*parent, sibling)
    meant = nearest(name, [word for word in places(model) if _place(model, word)])
    return _place(model, meant) if meant else None


def _place(model: type[Model], name: str) -> Path | None:
    """The one place of a field of this name, or the one nearest to the top."""
    found = sorted(places(model).get(name, ()), key=len)
    if len(found) > 1 and len(found[0]) == len(found[1]):
        return None
    return found[0] if found else None


def annotation_at(model: type[Model], path: Sequence[str | int]) -> Any:
    """The annotation of the field at a JSON path, None where there is no such field."""
    annotation: Any = model
    for part in path:
        inner = next(_models(annotation), None)
        if isinstance(part, int):
            annotation = next((arg for arg in get_args(_bare(annotation)) if arg is not ...), None)
        else:
            annotation = fields_of(inner).get(part) if inner else None
    return annotation


def model_at(model: type[Model], path: Sequence[str | int]) -> type[Model] | None:
    """The model of the object at a JSON path, None where it is free-form or not an object."""
    return next(_models(annotation_at(model, path)), None)


def words_at(model: type[Model], path: Sequence[str | int]) -> tuple[str, ...]:
    """The words that an enumerated field accepts; () for other fields."""
    return tuple(_literals(annotation_at(model, path)))


@cache
def places(model: type[Model]) -> dict[str, tuple[Path, ...]]:
    """Field name -> the paths it has anywhere below spec."""
    found: dict[str, list[Path]] = {}

    def walk(inner: type[Model], path: Path) -> None:
        for name, annotation in fields_of(inner).items():
            found.setdefault(name, []).append((*path, name))
            for child in _models(annotation):
                walk(child, (*path, name))

    spec = model_at(model, ("spec",))
    if spec is not None:
        walk(spec, ("spec",))
    return {name: tuple(paths) for name, paths in found.items()}


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (TypingUnion, types.UnionType):
        rest = [arg for arg in get_args(annotation) if arg is not type(None)]
        return _bare(rest[0]) if len(rest) == 1 else annotation
    return annotation


def _models(annotation: Any) -> Iterator[type[Model]]:
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, Model):
        yield bare


def _literals(annotation: Any) -> Iterator[str]:
    bare = _bare(annotation)
    if get_origin(bare) is Literal:
        yield from get_args(bare)
