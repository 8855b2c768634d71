"""What of a checkpoint goes into which variable: decided, and all that does not fit told, before anything is assigned.

Pure: names, shapes and dtypes only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from sojourn.errors import InvalidInput

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Form:
    """Shape and TensorFlow's dtype name."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Selection:
    """How a model's variables and a checkpoint's tensors meet.

    Attributes:
        taken: names that get their saved value.
        fresh: names that were not asked for, and keep the value that they have.
        missing: names that were asked for, and that the checkpoint lacks.
        mismatched: (name, saved form, form here) of those that differ.
        extra: the checkpoint's tensors of that sort for which there is no variable here.
        forms: of what is missing, as it is here, and of what is extra, as it was saved.
    """

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[tuple[str, Form, Form], ...]
    extra: tuple[str, ...]
    forms: Mapping[str, Form]

    @property
    def problems(self) -> str:
        """What does not fit, in words; "" if all does."""
        said = []
        if self.missing:
            shown = [self._missing(name) for name in self.missing[:_SHOWN]]
            said.append(f"missing in the checkpoint: {_listed(shown, len(self.missing))}")
        if self.mismatched:
            pairs = [f"{name} (saved {saved}, here {here})" for name, saved, here in self.mismatched]
            said.append(f"of another form: {_listed(pairs)}")
        if said and self.extra:
            extra = [f"{name} ({self.forms[name]})" for name in self.extra]
            said.append(f"only in the checkpoint: {_listed(extra)}")
        return "; ".join(said)

    def _missing(self, name: str) -> str:
        """With the extra name that is most like it, of the same form if there is one: the layer may be renamed."""
        form = self.forms[name]
        alike = [other for other in self.extra if self.forms[other] == form]
        near = get_close_matches(name, alike, 1) or get_close_matches(name, self.extra, 1)
        return f"{name} ({form}{f'; the nearest name there is {near[0]}' if near else ''})"

    @property
    def summary(self) -> str:
        """What is taken, what is not, in words."""
        said = [f"takes {len(self.taken)} of {len(self.taken) + len(self.fresh)} variables"]
        if self.fresh:
            said.append(f"new: {_listed(self.fresh)}")
        if self.extra:
            said.append(f"only in the checkpoint: {_listed(self.extra)}")
        return "; ".join(said)


def select(
    here: Mapping[str, Form], saved: Mapping[str, Form], wanted: Callable[[str], bool], may_lack: Callable[[str], bool]
) -> Selection:
    """Compare a model with a checkpoint.

    Args:
        here: the model's variables.
        saved: the checkpoint's tensors, each replica's copies under the name of the first.
        wanted: whether a variable is to get its saved value.
        may_lack: whether a wanted variable may keep its value where the checkpoint lacks it.
    """
    asked = [name for name in here if wanted(name)]
    missing = [name for name in asked if name not in saved]
    mismatched = [(name, saved[name], here[name]) for name in asked if name in saved and saved[name] != here[name]]
    differ = {name for name, _, _ in mismatched}
    extra = tuple(sorted(name for name in saved if name not in here and wanted(name)))
    return Selection(
        taken=tuple(name for name in asked if name in saved and name not in differ),
        fresh=tuple(name for name in here if not wanted(name) or (name in missing and may_lack(name))),
        missing=tuple(name for name in missing if not may_lack(name)),
        mismatched=tuple(mismatched),
        extra=extra,
        forms={**{name: here[name] for name in missing}, **{name: saved[name] for name in extra}},
    )


def by_patterns(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name matches one of `include` and none of `exclude`; `*` stands for anything, `/` too."""

    def wanted(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in include) and not any(
            fnmatchcase(name, pattern) for pattern in exclude
        )

    return wanted


def require_matches(patterns: Sequence[str], names: Sequence[str]) -> None:
    """Raise InvalidInput for a pattern that no name matches: it is a slip, and would go unnoticed."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InvalidInput(
                f"spec.restoreFrom.variables: {pattern!r} matches nothing here or in the checkpoint",
                hint=f"Names are such as {_listed(tuple(names))}.",
            )


def _listed(names: Sequence[str], total: int | None = None) -> str:
    count = len(names) if total is None else total
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
