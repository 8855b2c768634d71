"""The `sojourn` command as a whole: help, errors, exit codes, completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sojourn import __version__
from sojourn.cli import kubectl
from sojourn.cli.group import VerbGroup
from sojourn.cli.main import cli
from sojourn.cli.verbs import VERBS
from sojourn.errors import CorruptData, InvalidInput, NotFound, Refused, SojournError

HEAVY = ("pydantic", "obstore", "numpy", "tensorflow", "ray", "keras", "rich", "yaml")


@pytest.fixture
def verb(monkeypatch):
    """Add a verb that does what the test says."""

    def add(function):
        monkeypatch.setitem(cli.commands, "tried", click.command("tried")(function))

    return add


def raising(error):
    def function():
        raise error

    return function


def test_help_matches_the_golden_text(sojourn, golden):
    code, out, _ = sojourn("--help")
    assert code == 0
    golden("cli/help.txt", out)


def test_help_imports_nothing_heavy():
    script = (
        "import sys, json; from sojourn.cli.main import main; main(['--help']); "
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stderr)}
    assert loaded.isdisjoint(HEAVY)


def test_help_takes_less_than_half_a_second():
    """Processor time: how long a busy machine makes it wait says nothing about it."""
    best = min(_processor_seconds([sys.executable, "-m", "sojourn.cli.main", "--help"]) for _ in range(3))
    assert best < 0.5


def _processor_seconds(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_import_sojourn_is_cheap():
    script = "import sojourn, sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert {name.split(".")[0] for name in done.stdout.split()}.isdisjoint({*HEAVY, "click"})


def test_the_table_of_verbs_agrees_with_the_commands():
    context = click.Context(cli)
    assert cli.list_commands(context) == list(VERBS)
    for name, row in VERBS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(limit=100) == row.help


def test_version(sojourn):
    assert sojourn("--version") == (0, f"sojourn {__version__}\n", "")


@pytest.mark.parametrize(
    ("typo", "meant"), [("rnu", "run"), ("histroy", "history"), ("verifiy", "verify"), ("list", None)]
)
def test_a_typo_names_the_nearest_verb(sojourn, typo, meant):
    code, _, err = sojourn(typo)
    assert code == 2
    assert f"There is no verb {typo!r}." in err
    assert (f"Did you mean {meant!r}?" in err) == (meant is not None)


def test_no_arguments_show_the_help(sojourn):
    code, _, err = sojourn()
    assert code == 2
    assert "Train a job on this machine" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SojournError("it broke", hint="mend it"), 1),
        (InvalidInput("it broke", hint="mend it"), 2),
        (NotFound("it broke", hint="mend it"), 1),
        (Refused("it broke", hint="mend it"), 4),
        (CorruptData("it broke", hint="mend it"), 5),
    ],
)
def test_errors_go_to_stderr_with_their_hint_and_code(sojourn, verb, error, code):
    verb(raising(error))
    assert sojourn("tried") == (code, "", "Error: it broke\n  mend it\n")


def test_verbose_shows_the_traceback(sojourn, verb):
    verb(raising(InvalidInput("it broke")))
    code, _, err = sojourn("-v", "tried")
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert "it broke" in err


def test_an_interrupt_is_130(sojourn, verb):
    verb(raising(KeyboardInterrupt()))
    code, _, err = sojourn("tried")
    assert (code, err.strip()) == (130, "Interrupted.")


def test_a_file_that_cannot_be_written_is_an_error_and_no_traceback(sojourn, verb):
    verb(lambda: Path("/no/such/folder/file").write_text(""))
    code, _, err = sojourn("tried")
    assert code == 1
    assert err.startswith("Error: [Errno 2] No such file or directory: '/no/such/folder/file'")


def test_a_reader_that_leaves_gets_no_traceback():
    script = f"{sys.executable} -m sojourn.cli.main completion bash | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() in ("0", "1")
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(sojourn, shell):
    code, out, _ = sojourn("completion", shell)
    assert code == 0
    assert "_SOJOURN_COMPLETE" in out


def test_completion_under_kubectls_name(sojourn, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-sojourn"])
    _, out, _ = sojourn("completion", "bash")
    assert "_KUBECTL_SOJOURN_COMPLETE=bash_complete" in out
    assert "-F _kubectl_sojourn_completion kubectl-sojourn\n" in out


@pytest.mark.parametrize("name", ["sojourn", "kubectl-sojourn"])
def test_the_script_of_bash_completes_what_it_is_for(name, tmp_path):
    program = tmp_path / name
    program.write_text(f"#!{sys.executable}\nfrom sojourn.cli.main import main\nimport sys\nsys.exit(main())\n")
    program.chmod(0o755)
    ask = f"""
        source <({name} completion bash)
        COMP_WORDS=({name} comp); COMP_CWORD=1
        $(complete -p {name} | sed 's/.*-F \\([^ ]*\\).*/\\1/') {name}
        echo "${{COMPREPLY[@]}}"
    """
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-c", ask], env=environment, check=True, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["compare", "completion"], "")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["mig"], ["migrate\tCarry a job to another cluster, where it goes on.", ":4"]),
        (["validate", ""], [":0"]),
        (["init", ""], [":16"]),
        (["completion", "z"], ["zsh", ":4"]),
        (["status", "--all"], ["--all-namespaces\tJobs of all namespaces.", ":4"]),
    ],
)
def test_kubectl_is_told_what_may_follow(words, answer):
    assert list(kubectl.answer(words)) == answer


def test_kubectl_is_told_every_verb(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-sojourn", ""])
    assert kubectl.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("\t")[0] for line in lines] == [*VERBS, ":4"]


def test_completing_a_verb_imports_none(monkeypatch):
    monkeypatch.setattr(VerbGroup, "get_command", lambda *_: pytest.fail("a verb was imported"))
    items = cli.shell_complete(click.Context(cli), "ru")
    assert [(item.value, item.help) for item in items] == [(name, VERBS[name].help) for name in ("run", "runs")]


def test_a_verb_whose_package_is_missing_says_what_to_install(sojourn, monkeypatch):
    class Entry:
        name, value = "serve", "sojourn_serving.cli.serve:serve"

        def load(self):
            raise ModuleNotFoundError("No module named 'starlette'", name="starlette")

    monkeypatch.setattr(VerbGroup, "_found", staticmethod(lambda: {"serve": Entry()}))
    code, _, err = sojourn("serve")
    assert code == 1
    assert "needs the package 'starlette'" in err
    assert "pip install 'sojourn[serving]'" in err


def test_every_exit_code_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "exit-codes.md").read_text()
    pending, codes = [SojournError], {0, 2, 3, 130}
    while pending:
        kind = pending.pop()
        codes.add(kind.exit_code)
        pending += kind.__subclasses__()
    for code in codes:
        assert f"| {code} |" in page
