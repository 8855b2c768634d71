"""Formats, an export's manifest, its files in a store and back, and which export an address means."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.checkpoints import sample_tensors
from helpers.trained import JobFiles, make_run
from sojourn.checkpoint.digest import digest
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import ExportInfo
from sojourn.store.base import Store
from sojourn.store.memory import MemoryStore
from sojourn_serving.export.choose import choose_export
from sojourn_serving.export.files import fetch, upload
from sojourn_serving.export.formats import Format, parse_formats
from sojourn_serving.export.interface import Inputs, golden_inputs, inputs_of, name_outputs
from sojourn_serving.export.record import ExportManifest, ModelRecord, Tensor


@pytest.fixture
def store() -> Store:
    return MemoryStore(str(uuid.uuid4()))


def make_export(log: RunLog, version: int, step: int = 100, formats: tuple[str, ...] = ("SavedModel",)) -> ExportInfo:
    folder = f"{log.prefix}/export/{version}"
    log.store.put(f"{folder}/manifest.json", b"{}")
    info = ExportInfo(
        version=version, key=f"export/{version}", manifest=digest(b"{}"), step=step, formats=formats, bytes=2
    )
    return log.export(info)


MODEL = ModelRecord(
    inputs=(Tensor("image", "float32", (None, 8, 8)),),
    outputs=(Tensor("y", "float32", None),),
    input_form="single",
    parameters=10,
    golden_rows=16,
    golden_source="Recorded",
    versions={"keras": "3"},
)


def test_formats_are_parsed_in_any_case_and_once() -> None:
    assert parse_formats("savedmodel, Keras,keras,H5") == (Format.SAVED_MODEL, Format.KERAS, Format.H5)


@pytest.mark.parametrize(("text", "said"), [("savedmodle", "did you mean savedmodel"), ("", "there are: "), ("x", "x")])
def test_unknown_formats_are_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_formats(text)

    assert said in str(refused.value)


def test_an_export_is_fetched_verified_and_kept(store: Store, tmp_path: Path) -> None:
    log = make_run(store, "digits", JobFiles("m:f", {}), sample_tensors())
    source = tmp_path / "source"
    (source / "variables").mkdir(parents=True)
    (source / "saved_model.pb").write_bytes(b"graph")
    (source / "variables" / "variables.index").write_bytes(b"")
    files = upload(store, f"{log.prefix}/export/1", source)
    manifest = ExportManifest(1, "digits-x", 100, "data/1", "blake3:0", ("SavedModel",), MODEL, files, "2026-01-01")
    data = manifest.to_bytes()
    store.put(f"{log.prefix}/export/1/manifest.json", data)
    export = ExportInfo(version=1, key="export/1", manifest=digest(data), step=100)

    folder = fetch(store, log.prefix, export, tmp_path / "cache")

    assert ExportManifest.from_bytes(data, source="x") == manifest
    assert [file.name for file in files] == ["saved_model.pb", "variables/variables.index"]
    assert folder.name == "1"
    assert (folder / "saved_model.pb").read_bytes() == b"graph"
    assert (folder / "manifest.json").read_bytes() == data

    (folder / "saved_model.pb").write_bytes(b"grape")
    assert (fetch(store, log.prefix, export, tmp_path / "cache") / "saved_model.pb").read_bytes() == b"graph"

    store.put(f"{log.prefix}/export/1/saved_model.pb", b"grape")
    with pytest.raises(CorruptData, match="is not the file that the export's manifest names"):
        fetch(store, log.prefix, export, tmp_path / "other")
    with pytest.raises(CorruptData, match="the run's log names"):
        fetch(store, log.prefix, replace(export, manifest=digest(b"")), tmp_path / "other")


def test_an_address_means_the_newest_export_of_what_it_names(store: Store) -> None:
    log = make_run(store, "digits", JobFiles("m:f", {}), sample_tensors())
    with pytest.raises(NotFound) as missing:
        choose_export(store, "digits")
    assert "sojourn export digits --store" in missing.value.hint

    make_export(log, 1, step=50)
    make_export(log, 2, step=100)
    make_export(log, 3, step=100)
    make_export(log, 4, step=100, formats=("Keras",))

    assert choose_export(store, "digits")[1].version == 3
    assert choose_export(store, "digits@50")[1].version == 1
    with pytest.raises(NotFound, match=r"of step 7; it has versions 1 \(step 50\)"):
        choose_export(store, "digits@7")


def test_recorded_inputs_stand_in_for_a_model_that_declares_none() -> None:
    one = inputs_of(object(), {"x0": np.zeros((16, 4))})
    two = inputs_of(object(), {"x0": np.zeros((16, 4)), "x1": np.zeros((16,), np.int64)})
    named = inputs_of(object(), {"age": np.zeros((16,), np.int32), "word": np.array(["a", "b"])})

    assert one == Inputs((Tensor("inputs", "float32", (None, 4)),), "single")
    assert [(t.name, t.dtype) for t in two.tensors] == [("input_0", "float32"), ("input_1", "int64")]
    assert two.pack([1, 2]) == [1, 2]
    assert named.pack([1, 2]) == {"age": 1, "word": 2}
    assert named.tensors[1].dtype == "string"


def test_golden_inputs_have_the_models_dtypes_and_order() -> None:
    inputs = Inputs((Tensor("a", "float32", (None, 2)), Tensor("b", "string", (None,))), "list")

    recorded = golden_inputs(inputs, {"x0": np.ones((3, 2)), "x1": np.array(["p", "q", "é"])}, 16)
    made_up = golden_inputs(inputs, None, 16)

    assert recorded["a"].dtype == np.float32
    assert recorded["b"].tolist() == [b"p", b"q", "é".encode()]
    assert made_up["a"].shape == (16, 2)
    with pytest.raises(InvalidInput, match=r"'a'.* of shape"):
        golden_inputs(inputs, {"x0": np.ones((3, 5)), "x1": np.array(["p"])}, 16)


def test_outputs_have_names_of_their_own_and_nested_ones_are_refused() -> None:
    array = np.zeros(3)

    assert list(name_outputs(object(), array)) == ["outputs"]
    assert list(name_outputs(object(), [array, array])) == ["output_0", "output_1"]
    assert list(name_outputs(object(), {"b": array, "a": array})) == ["a", "b"]
    with pytest.raises(InvalidInput, match="nested"):
        name_outputs(object(), [[array]])
