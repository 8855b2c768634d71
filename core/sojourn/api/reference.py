"""The manifest reference of the documentation, generated from the models' descriptions, defaults and rules.

One page says what holds for all kinds, and each kind has a page of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sojourn.api import advice
from sojourn.api.base import Model
from sojourn.api.crds import KINDS, Kind
from sojourn.api.digest import DEFINING
from sojourn.api.meta import API_VERSION, SET_BY_SERVER
from sojourn.api.patterns import MEANINGS
from sojourn.api.problems import field_path
from sojourn.api.schema import without_empty
from sojourn.api.training_job import TrainingJob
from sojourn.api.yaml_tree import Path

_GENERATED: Final = "<!-- Generated from core/sojourn/api by `make manifests`; edits are lost. -->\n"
_INTRODUCTION: Final = """\
# Manifest reference

Every field of the resources of `{version}`. The same file is read by `sojourn run` on one machine and by
`kubectl apply` on a cluster. A file may hold several documents, and `-` reads standard input.

Editors that use yaml-language-server complete and check a manifest that begins with the line

```yaml
# yaml-language-server: $schema=manifests/schema/manifest.json
```

## Kinds

{kinds}
Fields that only a cluster can act on (`podTemplate`, `image`, `engine` and the like) are ignored by `sojourn run`.

## What defines a run

Running a manifest again resumes the run of that name, if the *spec digest* is the same. It covers what influences the
numbers that are computed, after defaults are filled in; those fields are marked **fixed** on
the page of the [TrainingJob](trainingjob.md). On a cluster the API server refuses to change them. To change them, start
a new run: give it another name, or `sojourn run --new`.

Everything else may change between two attempts of a run:

- *How long*: `epochs` and `steps`. No step depends on how many follow it, so a finished run goes on where it ended.
- *How many and where*: `strategy`, `workers`, `prefetch`, and `threads` in mode Fast. Data position is global, so each
  sample is still seen exactly once per epoch. In mode Exact, bits are promised for the same number of replicas only,
  and thread counts are fixed.
- *Where code is found*: `task.code`. The code of every attempt is kept with the run under its own digest.
- *What is kept, and when to give up*: `checkpoint`, `export`, `onNaN`, `backoffLimit`, deadlines, `suspend`.
- `restoreFrom` matters only when the run is created.

## Example

```yaml
{example}```
"""


@dataclass(frozen=True, slots=True)
class _Section:
    path: Path
    model: type[Model]


def pages(example: str) -> dict[str, str]:
    """File name -> Markdown; `example` is the manifest that the first page shows."""
    rows = ["| Kind | Short name | What it is |", "| --- | --- | --- |"]
    rows += [f"| [{kind.name}]({_file(kind)}) | `{kind.short_name}` | {kind.model.__doc__} |" for kind in KINDS]
    kinds = "\n".join(rows) + "\n"
    first = _GENERATED + _INTRODUCTION.format(version=API_VERSION, example=example, kinds=kinds)
    return {"manifest.md": first, **{_file(kind): _page(kind) for kind in KINDS}}


def _file(kind: Kind) -> str:
    return f"{kind.name.lower()}.md"


def _page(kind: Kind) -> str:
    scope = "It belongs to a namespace." if kind.namespaced else "It belongs to the whole cluster."
    shown = ", ".join(column.name for column in kind.columns if not column.priority)
    wide = ", ".join(column.name for column in kind.columns if column.priority)
    parts = [
        f"{_GENERATED}# {kind.name}\n\n{kind.model.__doc__}\n\n{scope} `kubectl get {kind.short_name}` lists them "
        f"with the columns {shown}; `-o wide` adds {wide}. The [manifest reference](manifest.md) says what holds for "
        "every kind.\n"
    ]
    for part in ("metadata", "spec", "status"):
        parts += [_section(kind.model, section) for section in _sections(kind.model, (part,))]
    return "".join(parts)


def _sections(parent: type[Model], path: Path) -> Iterator[_Section]:
    """The last part of `path`, a field of `parent`, and all below it; entries of lists are found at the list's path."""
    name = path[-1]
    model = advice.model_at(parent, (name,)) or advice.model_at(parent, (name, 0))
    if model is None or not model.model_fields:
        return
    yield _Section(path, model)
    for inner in advice.fields_of(model):
        yield from _sections(model, (*path, inner))


def _section(root: type[Model], section: _Section) -> str:
    schema = section.model.model_json_schema()
    resumes = root is TrainingJob and section.path[0] == "spec"
    heads = ["Field", "Type", "Default", *(["On resume"] if resumes else []), "Description"]
    rows = [heads, ["---"] * len(heads)]
    for name, info in advice.infos_of(section.model).items():
        if info.description == SET_BY_SERVER:
            continue
        part = schema["properties"][name]
        default = "**required**" if info.is_required() else _default(part)
        path = (*section.path, name)
        cells = [f"`{name}`", _Types(root.__name__, schema).text(part, path), default]
        cells += [_on_resume(path)] if resumes else []
        rows.append([*cells, _cell(info.description or "")])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    rules = "".join(f"- {_cell(rule.message)}\n" for rule in section.model.rules if not rule.transition)
    return f"\n## {root.__name__} {field_path(section.path)}\n\n{section.model.__doc__}\n\n{table}\n" + (
        f"\n{rules}" if rules else ""
    )


def _on_resume(path: Path) -> str:
    inner = path[1:]
    if inner[0] == "restoreFrom":
        return "ignored"
    if inner[:2] == ("checkpoint", "store"):
        return "by `sojourn move`"
    if inner == ("engine",):
        return "cannot change"
    if any(inner[: len(fixed)] == fixed for fixed in DEFINING):
        return "fixed in mode Exact" if "threads" in inner else "**fixed**"
    return "in part" if any(fixed[: len(inner)] == inner for fixed in DEFINING) else "may change"


def _default(schema: dict[str, Any]) -> str:
    default = without_empty(schema.get("default"))
    return "" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"


@dataclass(frozen=True, slots=True)
class _Types:
    """Says the types of one model's fields."""

    kind: str
    schema: dict[str, Any]

    def text(self, schema: dict[str, Any], path: Path) -> str:
        """The type of the field at a path, linked to its section."""
        options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) == 1:
            schema = {**schema, **options[0]}
        if "$ref" in schema:
            target = self.schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
            anchor = f"{self.kind}-{field_path(path).replace('.', '')}".lower()
            return f"[mapping](#{anchor})" if target.get("properties") else "empty mapping `{}`"
        if "enum" in schema:
            return ", ".join(f"`{word}`" for word in schema["enum"])
        kind = schema.get("type", "any")
        if kind == "array":
            return f"list of {self.text(schema['items'], path)}"
        if kind == "object":
            inner = schema.get("additionalProperties", True)
            return f"mapping of {inner['type']}" if isinstance(inner, dict) and "type" in inner else "free-form mapping"
        return _scalar_type(schema)


def _scalar_type(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return f"integer or string: {_cell(MEANINGS[schema['pattern']])}"
    if schema.get("format") == "date-time":
        return "time"
    return f"{schema.get('type', 'any')}{_bounds(schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    """The limits of a number or a string, for people."""
    if "pattern" in schema:
        return f": {_cell(MEANINGS[schema['pattern']])}"
    if "maxLength" in schema:
        return f" of at most {schema['maxLength']} characters" if schema["maxLength"] > 1 else " of 1 character"
    signs = {"minimum": "≥", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f" {sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return ",".join(bounds)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
