"""Exports: what TensorFlow alone makes of the files, what is stored, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from helpers.serving import Digits
from helpers.trained import JobFiles, make_run
from sojourn.checkpoint.bundle_reader import BundleReader
from sojourn.runlog.log import RunLog
from sojourn.store.posix import PosixStore
from sojourn_serving.export.children import ExportFailed
from sojourn_serving.export.formats import Format
from sojourn_serving.export.run import export

pytestmark = pytest.mark.tensorflow

AFTER_THE_GUIDE = """
import h5py, importlib.util, json, numpy, sys
assert importlib.util.find_spec("sojourn") is None
images = golden["inputs/image"]
loaded = {name: tf.keras.models.load_model(folder + "/" + name) for name in ("model.keras", "model.h5")}
assert not any(getattr(model, "optimizer", None) for model in loaded.values())
assert "optimizer_weights" not in h5py.File(folder + "/model.h5")
answers = {"SavedModel": answer, **{name: model(images) for name, model in loaded.items()}}
print(json.dumps({name: numpy.asarray(value).tolist() for name, value in answers.items()}))
"""


def test_the_guides_blocks_and_every_format_answer_as_recorded_where_there_is_no_sojourn(
    digits: Digits, repository: Path
) -> None:
    guide = (repository / "docs" / "guides" / "export.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    # Without the site module no .pth file is read, so that an editable install of Sojourn is out of reach too.
    site = str(Path(np.__file__).parents[1])
    script = "\n".join([f"import sys; sys.path.append({site!r})", *blocks, AFTER_THE_GUIDE])

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(digits.folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )

    assert done.returncode == 0, done.stderr
    assert len(blocks) == 2
    answers = json.loads(done.stdout.splitlines()[-1])
    assert list(answers) == ["SavedModel", "model.keras", "model.h5"]
    for answer in answers.values():
        np.testing.assert_allclose(answer, digits.expected(digits.images), atol=1e-5)


def test_a_saved_model_stores_every_weight_once(digits: Digits) -> None:
    prefix = f"{digits.log.prefix}/export/1/variables/variables"
    reader = BundleReader(digits.store, prefix)
    shapes = [reader.entry(name).shape for name in reader.names() if reader.entry(name).dtype == "float32"]

    assert sum(int(np.prod(shape)) for shape in shapes) == sum(array.size for array in digits.weights.values())


def test_the_log_and_the_manifest_say_what_was_exported(digits: Digits) -> None:
    (entry,) = digits.log.state.exports
    manifest = json.loads((digits.folder / "manifest.json").read_text())

    assert (entry.version, entry.key, entry.step) == (1, "export/1", 100)
    assert entry.formats == ("SavedModel", "Keras", "H5")
    assert (digits.exported.digest, digits.exported.version) == (entry.manifest, entry.version)
    assert set(digits.exported.differences) == {"SavedModel", "Keras", "H5"}
    assert max(digits.exported.differences.values()) < 1e-5
    assert any(line.startswith("building ") and line.endswith(" from step 100") for line in digits.stages)
    assert manifest["checkpoint"] == digits.log.state.commits[0].checkpoint
    assert manifest["commit"] == digits.log.state.commits[0].manifest
    assert manifest["model"]["inputs"] == [{"name": "image", "dtype": "float32", "shape": [None, 8, 8]}]
    assert manifest["model"]["outputs"] == [{"name": "probabilities", "dtype": "float32", "shape": [None, 10]}]
    assert manifest["model"]["parameters"] == 64 * 128 + 128 + 128 * 10 + 10
    assert {file["name"] for file in manifest["files"]} >= {"saved_model.pb", "model.keras", "model.h5", "golden.npz"}
    assert digits.log.state.pins == ()


SCRIPT = """
import keras
from sojourn_trainer import fit


@keras.saving.register_keras_serializable("mine")
class Scale(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=())

    def call(self, x):
        return x * self.factor


def squash(x):
    return x / (1.0 + keras.ops.abs(x))


def main(units):
    left = keras.Input((3,), name="left")
    right = keras.Input((2,), name="right")
    x = Scale(name="scale")(keras.layers.Concatenate()([left, right]))
    x = keras.layers.BatchNormalization(name="norm")(x)
    scores = keras.layers.Dense(units, activation=squash, name="scores")(x)
    model = keras.Model({"left": left, "right": right}, {"scores": scores, "scaled": x})
    model.compile(optimizer="adam", loss="mse")
    fit(model, None)
    raise AssertionError("fit hands the model over and does not return")
"""


@pytest.fixture(scope="module")
def script_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[PosixStore, RunLog, dict[str, np.ndarray]]:
    """A script with a custom layer that calls fit, dict inputs, and batch statistics of two replicas."""
    code = tmp_path_factory.mktemp("code")
    (code / "script.py").write_text(textwrap.dedent(SCRIPT))
    random = np.random.default_rng(1)
    weights = {
        "scale/factor": np.array(3.0, np.float32),
        "norm/gamma": np.ones(5, np.float32),
        "norm/beta": np.zeros(5, np.float32),
        "norm/moving_mean": np.full(5, 1.0, np.float32),
        "norm/moving_variance": np.full(5, 4.0, np.float32),
        "scores/kernel": random.normal(size=(5, 2)).astype(np.float32),
        "scores/bias": np.zeros(2, np.float32),
    }
    tensors = {f"model/{name}": array for name, array in weights.items()}
    tensors["replica_1/model/norm/moving_mean"] = np.full(5, 2.0, np.float32)
    golden = {"left": random.random((4, 3)), "right": random.random((4, 2))}
    store = PosixStore(tmp_path_factory.mktemp("store"))
    job = JobFiles("script:main", {"units": 2}, code, golden)
    return store, make_run(store, "script", job, tensors, replicas=2), {**weights, **golden}


def test_a_script_with_custom_layers_exports_as_saved_model(
    script_run: tuple[PosixStore, RunLog, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    store, log, known = script_run

    done = export(store, "script@100", [Format.SAVED_MODEL], cache=tmp_path)

    with np.load(store.root / log.prefix / "export" / "1" / "golden.npz") as stored:
        outputs = {name: stored[f"outputs/{name}"] for name in ("scores", "scaled")}
    joined = 3.0 * np.concatenate([known["left"], known["right"]], axis=1)
    normed = (joined - 1.5) / np.sqrt(4.0 + 1e-3)
    scores = normed @ known["scores/kernel"]
    np.testing.assert_allclose(outputs["scaled"], normed, atol=1e-5)
    np.testing.assert_allclose(outputs["scores"], scores / (1 + np.abs(scores)), atol=1e-5)
    assert done.manifest.model.input_form == "dict"
    assert [tensor.name for tensor in done.manifest.model.inputs] == ["left", "right"]
    assert done.differences["SavedModel"] < 1e-5


def test_keras_files_of_custom_layers_are_refused_by_name(
    script_run: tuple[PosixStore, RunLog, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    store, log, _ = script_run

    with pytest.raises(ExportFailed) as refused:
        export(store, "script", [Format.SAVED_MODEL, Format.KERAS, Format.H5], cache=tmp_path)

    assert "model.keras and model.h5 cannot be written" in refused.value.message
    assert refused.value.message.endswith("not of Keras: Scale, squash")
    assert "SavedModel" in refused.value.hint
    assert log.refresh().pins == ()
