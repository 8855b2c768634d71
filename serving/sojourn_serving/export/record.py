"""An export's manifest.json: what the files are, what the model takes and gives, and which checkpoint it came from.

A run's log names this file's digest, and it names those of all others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn.checkpoint.records import FileRecord
from sojourn.errors import CorruptData

FORMAT = "sojourn.dev/export/v1"
MANIFEST_FILE = "manifest.json"
GOLDEN_FILE = "golden.npz"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named input or output; `shape` has None for open sizes, and is None where the rank is open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "shape": None if self.shape is None else list(self.shape)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tensor:
        shape = value["shape"]
        return cls(value["name"], value["dtype"], None if shape is None else tuple(shape))


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model as the building process describes it.

    Args:
        inputs: of the signature serving_default, in the model's order.
        outputs: the same.
        input_form: "single", "list" or "dict": how the Keras model takes its inputs.
        parameters: elements of all weights.
        golden_rows: rows of the golden inputs.
        golden_source: "Recorded" by training, or "MadeUp" where the run has none.
        versions: of Python and the packages that built it.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    input_form: str
    parameters: int
    golden_rows: int
    golden_source: str
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "signature": "serving_default",
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "inputForm": self.input_form,
            "parameters": self.parameters,
            "golden": {"file": GOLDEN_FILE, "rows": self.golden_rows, "source": self.golden_source},
            "versions": dict(sorted(self.versions.items())),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelRecord:
        return cls(
            inputs=tuple(map(Tensor.from_json, value["inputs"])),
            outputs=tuple(map(Tensor.from_json, value["outputs"])),
            input_form=value["inputForm"],
            parameters=value["parameters"],
            golden_rows=value["golden"]["rows"],
            golden_source=value["golden"]["source"],
            versions=value["versions"],
        )


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """A whole export. `run` is "<name>-<runId>"; `checkpoint` and `commit` name its source and that one's digest."""

    version: int
    run: str
    step: int
    checkpoint: str
    commit: str
    formats: tuple[str, ...]
    model: ModelRecord
    files: tuple[FileRecord, ...]
    created: str

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """The stored form."""
        body = {
            "format": FORMAT,
            "version": self.version,
            "created": self.created,
            "run": self.run,
            "step": self.step,
            "checkpoint": self.checkpoint,
            "commit": self.commit,
            "formats": list(self.formats),
            "model": self.model.to_json(),
            "files": [file.to_json() for file in self.files],
        }
        return json.dumps(body, indent=2, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> ExportManifest:
        """`source` names it in errors. Raises CorruptData, also for a format newer than this Sojourn."""
        try:
            body = json.loads(data)
            if body["format"] != FORMAT:
                raise CorruptData(
                    f"{source} has format {body['format']!r}, this Sojourn reads {FORMAT!r}",
                    hint="Use the Sojourn version that wrote it, or a newer one.",
                )
            return cls(
                version=body["version"],
                run=body["run"],
                step=body["step"],
                checkpoint=body["checkpoint"],
                commit=body["commit"],
                formats=tuple(body["formats"]),
                model=ModelRecord.from_json(body["model"]),
                files=tuple(FileRecord.from_json(file) for file in body["files"]),
                created=body["created"],
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise CorruptData(f"{source} is not an export's manifest: {type(error).__name__}: {error}") from error
