"""Writes .keras and .h5 files without optimizer state, and refuses objects that whoever loads them would not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sojourn.errors import InvalidInput


def custom_objects(model: Any) -> list[str]:
    """Names of the layers, functions and other objects in the model that are not Keras' own, sorted.

    Lambda layers count: loading their Python code needs the reader's explicit consent.
    """
    import keras

    if type(model) not in (keras.Sequential, keras.Model) and not type(model).__module__.startswith("keras."):
        return [type(model).__name__]
    described = keras.saving.serialize_keras_object(model)
    described.pop("compile_config", None)  # the files are written without it: a loss of the user's own is no hindrance
    return sorted(set(_custom(described)))


def _custom(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        name = value.get("class_name")
        if isinstance(name, str) and "config" in value and (custom := _custom_name(name, value)):
            yield custom
        for item in value.values():
            yield from _custom(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _custom(item)


def _custom_name(name: str, value: dict[str, Any]) -> str:
    module = value.get("module")
    if name == "__lambda__":
        return "Lambda"
    if name.startswith("__") or (isinstance(module, str) and module.split(".")[0] == "keras"):
        return ""
    return str(value["config"]) if name == "function" else name


def refuse_custom(model: Any, files: list[str]) -> None:
    """Raises InvalidInput, naming the custom objects, if the model has any."""
    if found := custom_objects(model):
        raise InvalidInput(
            f"{' and '.join(files)} cannot be written: the model has objects that are not of Keras: {', '.join(found)}",
            hint="Whoever loads the file would need their code. Export as SavedModel, which holds the computation.",
        )


def write_keras_file(model: Any, path: Path) -> None:
    """Save architecture and weights; the suffix decides the format. The model is copied, because Keras saves a
    compiled model with its optimizer's variables."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    bare.save(path)
