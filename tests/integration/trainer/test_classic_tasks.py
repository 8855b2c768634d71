"""The ready tasks of classic models predict held-out rows of real data as well as scikit-learn does.

UPDATE_GOLDEN=1 writes the figures into docs/guides/ready-tasks.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import LocalRun, new_store
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, mean_squared_error, precision_recall_fscore_support
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, SVR

from sojourn.api import TrainingJob, load_manifests
from sojourn.errors import InvalidInput
from sojourn.task.entrypoint import call
from sojourn_trainer.data.load import load_data
from sojourn_trainer.data.source import leaves
from sojourn_trainer.workers.assignment import Outcome

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs/guides/ready-tasks.md"
EXAMPLES = sorted(
    path.stem
    for task in ("linear", "logistic", "recursive", "rnn", "svc", "svr", "two-input")
    for path in (ROOT / "manifests/examples").glob(f"{task}-*.yaml")
)
POINTS_WORSE = 0.02
ERROR_WORSE = 0.05
DRIFT = 0.02  # between processors and versions, of accuracy and of relative error


@dataclass(frozen=True)
class Figures:
    """What both make of the same held-out rows."""

    name: str
    data: str
    metric: str
    ours: float
    theirs: float

    @property
    def good(self) -> bool:
        return self.difference >= -POINTS_WORSE if self.metric == "accuracy" else self.difference <= ERROR_WORSE

    @property
    def difference(self) -> float:
        """Of accuracy, or of the error relative to theirs."""
        return self.ours - self.theirs if self.metric == "accuracy" else self.ours / self.theirs - 1

    @property
    def row(self) -> str:
        """A line of the guide's table."""
        percent = round(100 * self.difference, 1) + 0.0  # no negative zero
        if self.metric == "accuracy":
            figures = f"{self.ours:.4f} | {self.theirs:.4f} | {percent:+.1f} points"
        else:
            figures = f"{self.ours:.0f} | {self.theirs:.0f} | {percent:+.1f} %"
        return f"| [{self.name}](../../manifests/examples/{self.name}.yaml) | {self.data} | {self.metric} | {figures} |"


def test_there_is_an_example_of_each() -> None:
    assert len(EXAMPLES) == 13


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_predicts_as_well_as_scikit_learn(name: str, tmp_path: Path) -> None:
    figures = measure(name, tmp_path)
    assert figures.good, f"ours, scikit-learn's, difference: {figures.row}"
    compare_with_guide(figures)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_does_under_each_strategy(name: str, workers: int, tmp_path: Path) -> None:
    figures = measure(name, tmp_path, workers)
    assert figures.good, f"ours, scikit-learn's, difference: {figures.row}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_keras_files_hold_the_whole_model(name: str, tmp_path: Path) -> None:
    import keras

    from sojourn_serving.export.keras_files import refuse_custom, write_keras_file

    job = example(name)
    assert job.spec.export is not None
    files = [f"model.{item.lower()}" for item in job.spec.export.formats if item in ("Keras", "H5")]
    assert files or name.startswith("recursive")
    task = call(job.spec.task.entrypoint, job.spec.task.args)
    if not files:
        with pytest.raises(InvalidInput, match="TreeLSTM"):
            refuse_custom(task.model, ["model.keras"])
        return
    refuse_custom(task.model, files)
    rows = random_rows(task.model)
    for file in files:
        write_keras_file(task.model, tmp_path / file)
        loaded = keras.models.load_model(tmp_path / file, compile=False)
        np.testing.assert_allclose(loaded(rows).numpy(), task.model(rows).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "expected", "tolerance"),
    [
        ({"polynomial": {"gamma": 0.5, "degree": 2, "coef0": 2.0}}, polynomial_kernel, 1e-4),
        ({"polynomial": {"gamma": 0.5, "degree": 3, "coef0": 0.0}}, polynomial_kernel, 1e-4),
        ({"rbf": {"gamma": 0.2, "components": 20_000}}, rbf_kernel, 0.03),
    ],
)
def test_inner_products_of_features_are_the_kernel(kernel: Any, expected: Any, tolerance: float) -> None:
    import keras

    from sojourn_trainer.tasks.kernels import feature_map

    rows = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    inputs = keras.layers.Input((6,))
    features = keras.Model(inputs, feature_map(inputs, kernel))(rows).numpy()
    (settings,) = kernel.values()
    exact = expected(rows, **{key: value for key, value in settings.items() if key != "components"})
    np.testing.assert_allclose(features @ features.T, exact, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ({"sigmoid": {}}, "no kernel 'sigmoid'"),
        ({"rbf": {"width": 1}}, "kernel.rbf"),
        ({"polynomial": {"gamma": 1, "degree": 9}}, "makes 293930 terms"),
    ],
)
def test_a_wrong_kernel_is_refused(kernel: Any, message: str) -> None:
    from sojourn_trainer.tasks import svc

    with pytest.raises(InvalidInput, match=message):
        svc.build(shape=[12], kernel=kernel)


@pytest.mark.parametrize(
    "name", ["digits-mlp", "digits-cnn", "recursive-syntax-trees", "rnn-digits", "two-input-digits"]
)
def test_networks_also_tell_precision_recall_and_f1(name: str) -> None:
    task = example(name).spec.task
    asked = {"metrics": ["precision", "recall", "f1"]} if name.startswith("digits") else {}
    model = call(task.entrypoint, {**task.args, **asked}).model
    model.train_on_batch(random_rows(model), np.zeros(5, np.int64))
    assert sorted(model.get_metrics_result()) == ["accuracy", "f1", "loss", "precision", "recall"]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no metric 'auc'"):
        call("sojourn_trainer.tasks.mlp:build", {"metrics": ["auc"]})


def test_they_are_those_of_scikit_learn() -> None:
    from sojourn_trainer.tasks.metrics import METRICS

    random = np.random.default_rng(0)
    labels, scores, weight = random.integers(0, 4, 60), random.normal(size=(60, 4)), np.r_[np.ones(50), np.zeros(10)]
    expected = precision_recall_fscore_support(labels[:50], scores[:50].argmax(axis=1), average="macro")
    for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
        metric = METRICS[name]()
        for half in (slice(0, 25), slice(25, 60)):
            metric.update_state(labels[half], scores[half].astype(np.float32), weight[half])
        np.testing.assert_allclose(float(metric.result()), value, atol=1e-6)


def example(name: str) -> TrainingJob:
    (loaded,) = load_manifests(ROOT / f"manifests/examples/{name}.yaml")
    assert isinstance(loaded.obj, TrainingJob)
    return loaded.obj


def measure(name: str, folder: Path, workers: int | None = None) -> Figures:
    """Train the example as it is, or with so many workers: one under the default strategy, several mirrored."""
    job = example(name)
    if workers is not None:
        manifest = job.to_manifest()
        manifest["spec"]["workers"] = {"replicas": workers}
        manifest["spec"]["strategy"] = "Default" if workers == 1 else "MultiWorkerMirroredStrategy"
        job = TrainingJob.from_manifest(manifest)
    attempt = LocalRun(new_store(folder), job).attempt()
    assert attempt.result.outcome is Outcome.COMPLETED, attempt.result.failure
    assert job.spec.data is not None
    data = load_data(job.spec.data, job.spec.training.seed)
    (x, y), (x_test, y_test) = (flat(part) for part in (data.train, data.test))
    predicted = estimator(job.spec.task.entrypoint, job.spec.task.args, len(x)).fit(x, y).predict(x_test)
    metric = "mse" if y.dtype.kind == "f" else "accuracy"
    score = mean_squared_error if metric == "mse" else accuracy_score
    return Figures(
        name,
        data_name(job),
        metric,
        attempt.result.metrics[f"test_{metric}"],
        float(score(y_test, predicted)),
    )


def random_rows(model: Any) -> Any:
    """Five rows for each of a model's inputs; in a dict if they are several."""
    chance = np.random.default_rng(0)
    rows = {item.name: chance.normal(size=(5, *item.shape[1:])).astype(np.float32) for item in model.inputs}
    if "tree" in rows:
        rows["tree"] = np.zeros(rows["tree"].shape, np.int32)
    return rows if len(rows) > 1 else next(iter(rows.values()))


def data_name(job: TrainingJob) -> str:
    """The set's name as the guide has it; a function that makes one has the name of its set."""
    assert job.spec.data is not None
    source = job.spec.data.source
    if source.function is not None:
        return source.function.entrypoint.rsplit(":", 1)[1].replace("_", " ")
    assert source.builtin is not None
    return source.builtin.name.replace("_", " ")


def nodes_of(tree: np.ndarray) -> list[int]:
    """Kinds of the nodes of a tree, flattened from [nodes, 3], as the words of a text."""
    kinds: list[int] = tree[::3].tolist()
    return [kind for kind in kinds if kind]


def flat(source: Any) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [rows, features], several side by side, and targets [rows]."""
    x, y = source.arrays
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves(x)], axis=1), y


def estimator(entrypoint: str, args: Mapping[str, Any], rows: int) -> Any:
    """scikit-learn's estimator with the same objective; a perceptron where it has no network of that form."""
    task = entrypoint.removeprefix("sojourn_trainer.tasks.").removesuffix(":build")
    if task == "recursive":
        return make_pipeline(CountVectorizer(analyzer=nodes_of), RandomForestClassifier(300, random_state=7))
    if task in ("rnn", "two_input"):
        return MLPClassifier((args.get("units", 64),), learning_rate_init=0.01, random_state=7)
    l2 = args.get("l2", 0)
    if task == "linear":
        return Ridge(l2 * rows) if l2 else LinearRegression()
    penalty = 1 / (2 * l2 * rows)
    if task == "logistic":
        return LogisticRegression(C=penalty, max_iter=1000)
    ((kernel, settings),) = args["kernel"].items()
    known = {key: value for key, value in settings.items() if key in ("gamma", "degree", "coef0")}
    same: dict[str, Any] = {"C": penalty, "kernel": {"polynomial": "poly"}.get(kernel, kernel), **known}
    return SVC(**same) if task == "svc" else SVR(epsilon=args["epsilon"], **same)


def compare_with_guide(figures: Figures) -> None:
    text = GUIDE.read_text()
    shown = re.compile(rf"^\| \[{figures.name}\].*$", re.MULTILINE)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GUIDE.write_text(shown.sub(figures.row, text))
        return
    found = shown.search(text)
    assert found, f"{GUIDE} does not show {figures.row}; UPDATE_GOLDEN=1 accepts the change"
    number = float(found[0].rsplit("|", 2)[1].split()[0]) / 100
    assert abs(number - figures.difference) <= DRIFT, f"measured {figures.row}, {GUIDE} shows {found[0]}"
