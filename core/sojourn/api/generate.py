"""Writes what is generated from the models: CRDs, JSON schemas, the manifest reference. `make manifests` calls it."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from sojourn.api.crds import KINDS, definition
from sojourn.api.meta import GROUP, VERSION
from sojourn.api.reference import pages
from sojourn.api.schema import editor

_HEADER: Final = "# Generated from core/sojourn/api by `make manifests`; edits are lost.\n"


def generated(root: Path) -> dict[Path, str]:
    """Path -> text of every generated file; `root` is the repository."""
    files = {}
    definitions = [_yaml(definition(kind)) for kind in KINDS]
    # Kustomize reads no files outside of its own folder.
    files[root / "manifests/install/crds.yaml"] = _HEADER + "---\n".join(definitions)
    for kind, text in zip(KINDS, definitions, strict=True):
        files[root / "manifests/crds" / f"{GROUP}_{kind.plural}.yaml"] = _HEADER + text
        files[root / "charts/sojourn/templates/crds" / f"{kind.plural}.yaml"] = _HEADER + _template(definition(kind))
        files[root / "manifests/schema" / _schema_name(kind.name)] = _json(editor(kind.model))
    files[root / "manifests/schema/manifest.json"] = _json(_any_kind())
    example = root / "manifests/examples/digits-mlp.yaml"
    for name, text in pages(example.read_text(encoding="utf-8")).items():
        files[root / "docs/reference" / name] = text
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check print the differences; the exit code says whether there are any."""
    parser = argparse.ArgumentParser(prog="python -m sojourn.api.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where files differ")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: the working directory)")
    options = parser.parse_args(arguments)
    drift = False
    for path, text in generated(options.root).items():
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif present != text:
            drift = True
            sys.stdout.writelines(
                difflib.unified_diff(present.splitlines(True), text.splitlines(True), str(path), "generated")
            )
    if drift:
        print("Generated files differ from the models: run `make manifests`.", file=sys.stderr)
    return int(drift)


def _schema_name(kind: str) -> str:
    return f"{kind.lower()}_{VERSION}.json"


def _any_kind() -> dict[str, Any]:
    """One schema for files that hold several kinds."""
    names = [kind.name for kind in KINDS]
    cases = [{"if": {"properties": {"kind": {"const": name}}}, "then": {"$ref": _schema_name(name)}} for name in names]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Sojourn manifest",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"kind": {"enum": names}},
        "allOf": cases,
    }


class _Dumper(yaml.SafeDumper):
    """Writes shared parts out instead of using anchors, which kubectl's readers would show as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(data: dict[str, Any]) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=True, width=120, allow_unicode=True)


def _template(crd: dict[str, Any]) -> str:
    """The definition as part of the Helm chart, which may leave it out, or leave it behind when it is uninstalled."""
    name = crd["metadata"]["name"]
    body = {key: value for key, value in crd.items() if key not in ("apiVersion", "kind", "metadata")}
    if "{{" in (text := _yaml(body)):
        raise ValueError(f"the definition of {name} holds what Helm would take for its own language")
    annotations = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in crd["metadata"]["annotations"].items())
    return (
        "{{- if .Values.crds.enabled }}\n"
        f"apiVersion: {crd['apiVersion']}\nkind: {crd['kind']}\nmetadata:\n  name: {name}\n"
        '  labels: {{- include "sojourn.labels" . | nindent 4 }}\n'
        f"  annotations:\n{annotations}"
        "    {{- if .Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n"
        f"{text}{{{{- end }}}}\n"
    )


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
