"""Finds the function that a job names as `module:function`, and says precisely why when it cannot."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from sojourn.errors import InvalidInput, NotFound


class TaskImportFailed(InvalidInput):
    """The user's module was found, and importing it raised. The message holds the user's own traceback."""


def resolve(entrypoint: str, search_path: Path | str | None = None) -> Callable[..., Any]:
    """The function that `entrypoint` names.

    Args:
        entrypoint: "package.module:function"; the part behind the colon may have dots ("Tasks.build").
        search_path: folder with the job's code. It is put in front of `sys.path` and stays there, because
            the function may import more of it when it is called.

    Raises:
        InvalidInput: the text has another form, what it names is not callable, or another module of that
            name has been imported from elsewhere.
        NotFound: no such module or function; the nearest name is suggested.
        TaskImportFailed: importing the module raised.
    """
    module_name, colon, path = entrypoint.partition(":")
    parts = [*module_name.split("."), *path.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise InvalidInput(
            f"entrypoint {entrypoint!r} does not have the form module:function",
            hint="Write the module's import name, a colon and the function, e.g. my_tasks.digits:build.",
        )
    if search_path is not None:
        _use(Path(search_path).absolute(), module_name)
    found: Any = _import(module_name, entrypoint)
    for name in path.split("."):
        found = _attribute(found, name, entrypoint)
    if not callable(found):
        raise InvalidInput(
            f"entrypoint {entrypoint!r} names a {type(found).__name__}, not a function",
            hint="Name a function that returns the model (and data) to train.",
        )
    function: Callable[..., Any] = found
    return function


def call(entrypoint: str, args: Mapping[str, Any], search_path: Path | str | None = None) -> Any:
    """Resolve and call with keyword arguments; what the function raises passes through.

    Raises:
        InvalidInput: the function does not take these arguments. And all that `resolve` raises.
    """
    function = resolve(entrypoint, search_path)
    try:
        inspect.signature(function).bind(**args)
    except TypeError as error:
        raise InvalidInput(
            f"{entrypoint} cannot be called with the arguments of spec.task.args: {error}",
            hint=f"Its signature is {path_of(entrypoint)}{inspect.signature(function)}.",
        ) from error
    except ValueError:
        # Functions written in C may have no signature; calling them is the only check there is.
        return function(**args)
    return function(**args)


def path_of(entrypoint: str) -> str:
    """The part behind the colon."""
    return entrypoint.partition(":")[2]


def _use(folder: Path, module_name: str) -> None:
    if not folder.is_dir():
        raise NotFound(f"the code folder {folder} does not exist")
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
    top = module_name.partition(".")[0]
    there = folder / top
    is_here = there.with_suffix(".py").is_file() or there.is_dir()
    loaded = sys.modules.get(top)
    if is_here and loaded is not None and not any(Path(place).is_relative_to(folder) for place in _places(loaded)):
        raise InvalidInput(
            f"module {top!r} of {folder} cannot be imported: another {top!r} is loaded already "
            f"from {', '.join(_places(loaded)) or 'Python itself'}",
            hint="Give the module a name of its own.",
        )


def _places(module: ModuleType) -> list[str]:
    file = getattr(module, "__file__", None)
    return [file] if file else [str(place) for place in getattr(module, "__path__", ())]


def _import(module_name: str, entrypoint: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise _failed(module_name, entrypoint, error) from error
        raise NotFound(
            f"entrypoint {entrypoint!r}: there is no module {error.name!r}", hint=_module_hint(error.name)
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(module_name, entrypoint, error) from error


def _failed(module_name: str, entrypoint: str, error: BaseException) -> TaskImportFailed:
    lines = traceback.format_exception(type(error), error, _own_frames(error.__traceback__))
    hint = 'A script must start its work under `if __name__ == "__main__":`.' if isinstance(error, SystemExit) else ""
    return TaskImportFailed(
        f"entrypoint {entrypoint!r}: importing {module_name} failed\n\n{''.join(lines).rstrip()}\n", hint=hint
    )


def _own_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the user's first line on: our frames and the import machinery's say nothing to him."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file != __file__ and "importlib" not in file:
            return trace
        trace = trace.tb_next
    return None


def _module_hint(name: str) -> str:
    parent, _, last = name.rpartition(".")
    paths = list(sys.modules[parent].__path__) if parent in sys.modules else None
    known = {module.name for module in pkgutil.iter_modules(paths)}
    suggestion = _nearest(last, known)
    if suggestion:
        return f"Did you mean {parent + '.' if parent else ''}{suggestion}?"
    where = ", ".join(paths) if paths is not None else ", ".join(dict.fromkeys(part or "." for part in sys.path))
    return f"Searched in {where}."


def _attribute(owner: Any, name: str, entrypoint: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        known = {key for key, value in vars(owner).items() if callable(value) and not key.startswith("_")}
        suggestion = _nearest(name, known)
        if suggestion:
            hint = f"Did you mean {suggestion}?"
        else:
            hint = f"It has: {', '.join(sorted(known))}." if known else "It has no functions."
        label = getattr(owner, "__name__", str(owner))
        raise NotFound(f"entrypoint {entrypoint!r}: {label} has no function {name!r}", hint=hint) from error


def _nearest(word: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), "")
