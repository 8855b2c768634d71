"""`sojourn init` and `sojourn validate`."""

import ast

import pytest

import sojourn as sojourn_api
from sojourn.api import InvalidManifest, TrainingJob, load_manifests
from sojourn.client.begin import job_name
from sojourn.client.jobs import load_job
from sojourn.errors import Refused
from sojourn.task.archive import pack


def test_init_writes_a_job_that_is_valid_as_it_is(sojourn, tmp_path):
    folder = tmp_path / "My first_job"
    code, out, _ = sojourn("init", folder)
    assert code == 0
    assert f"sojourn run {folder / 'job.yaml'}" in out
    job = load_job(folder / "job.yaml").job
    assert job.name == "my-first-job"
    module, function = job.spec.task.entrypoint.split(":")
    tree = ast.parse((folder / f"{module}.py").read_text())
    build = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    assert {argument.arg for argument in build.args.args} == set(job.spec.task.args)
    assert pack(folder).files == ("job.yaml", "task.py")


def test_from_python_the_same(tmp_path):
    written = sojourn_api.init(tmp_path / "digits")
    assert [path.name for path in written] == ["job.yaml", "task.py"]
    with pytest.raises(Refused, match="already has"):
        sojourn_api.init(tmp_path / "digits")
    (loaded,) = sojourn_api.validate(written[0])
    assert (loaded.obj.name, loaded.file) == ("digits", str(written[0]))
    broken = tmp_path / "broken.yaml"
    broken.write_text(written[0].read_text().replace("globalBatchSize", "globalBatchsize"))
    with pytest.raises(InvalidManifest) as found:
        sojourn_api.validate(written[0], broken, broken)
    assert [problem.file for problem in found.value.problems].count(str(broken)) == len(found.value.problems) >= 2


def test_init_overwrites_only_on_request(sojourn, tmp_path):
    assert sojourn("init", tmp_path)[0] == 0
    (tmp_path / "task.py").write_text("mine\n")
    code, _, err = sojourn("init", tmp_path)
    assert code == 4
    assert "already has job.yaml and task.py" in err
    assert (tmp_path / "task.py").read_text() == "mine\n"
    assert sojourn("init", tmp_path, "--force")[0] == 0
    assert (tmp_path / "task.py").read_text() != "mine\n"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("digits", "digits"),
        ("My Job!", "my-job"),
        ("42", "my-job"),
        ("", "my-job"),
        ("a" * 60, "a" * 40),
        ("é", "my-job"),
    ],
)
def test_job_name(folder, name):
    assert job_name(folder) == name


def test_validate_says_what_a_job_comes_to(sojourn, tmp_path, golden):
    sojourn("init", tmp_path / "digits")
    code, out, err = sojourn("validate", tmp_path / "digits" / "job.yaml")
    assert (code, err) == (0, "")
    golden("cli/validate.txt", out.replace(str(tmp_path), "/home/ada"))


def test_validate_shows_every_problem_of_every_file(sojourn, tmp_path):
    sojourn("init", tmp_path)
    good = (tmp_path / "job.yaml").read_text()
    for name, old, new in (("a.yaml", "epochs:", "epoch:"), ("b.yaml", "mode: Exact", "mode: Exat")):
        (tmp_path / name).write_text(good.replace(old, new))
    code, out, err = sojourn("validate", tmp_path / "a.yaml", tmp_path / "job.yaml", tmp_path / "b.yaml")
    assert (code, out) == (2, "")
    assert "a.yaml:32:5: spec.training.epoch: unknown field" in err
    assert "b.yaml:34:11: spec.training.mode" in err
    assert "Did you mean Exact?" in err


def test_validate_quietly_and_from_standard_input(sojourn, tmp_path, monkeypatch):
    sojourn("init", tmp_path)
    with (tmp_path / "job.yaml").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert sojourn("validate", "--quiet", "-") == (0, "", "")


def test_validate_a_file_that_is_not_there(sojourn, tmp_path):
    code, _, err = sojourn("validate", tmp_path / "none.yaml")
    assert code == 1
    assert "there is no file" in err


def test_the_template_leaves_no_gap(tmp_path, sojourn):
    sojourn("init", tmp_path)
    (loaded,) = load_manifests(tmp_path / "job.yaml")
    assert isinstance(loaded.obj, TrainingJob)
    assert "{name}" not in (tmp_path / "job.yaml").read_text() + (tmp_path / "task.py").read_text()
