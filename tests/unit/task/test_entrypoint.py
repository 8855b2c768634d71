"""Entrypoints: what they resolve to, and what people are told when they do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.errors import InvalidInput, NotFound
from sojourn.task.entrypoint import TaskImportFailed, call, resolve


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for user code; whatever is imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_function_of_a_module_in_the_search_path(code: Path) -> None:
    (code / "digits_task.py").write_text("def build(hidden=3):\n    return hidden * 2\n")
    assert resolve("digits_task:build", code)(hidden=4) == 8


def test_a_function_in_a_package_and_in_a_class(code: Path) -> None:
    (code / "pack_a").mkdir()
    (code / "pack_a" / "tasks.py").write_text("class Tasks:\n    @staticmethod\n    def build():\n        return 5\n")
    assert resolve("pack_a.tasks:Tasks.build", code)() == 5


def test_an_installed_module_needs_no_search_path() -> None:
    assert resolve("pathlib:Path") is Path


def test_code_that_is_imported_later_is_found_too(code: Path) -> None:
    (code / "lazy_helper.py").write_text("VALUE = 11\n")
    (code / "lazy_task.py").write_text("def build():\n    import lazy_helper\n    return lazy_helper.VALUE\n")
    assert resolve("lazy_task:build", code)() == 11


@pytest.mark.parametrize("text", ["build", "a:b:c", "a b:c", ":x", "x:", "", "a..b:c", "tasks.py:build/x"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="does not have the form module:function"):
        resolve(text)


def test_a_missing_module_names_the_nearest(code: Path) -> None:
    (code / "digits_task.py").write_text("")
    with pytest.raises(NotFound) as caught:
        resolve("digit_task:build", code)
    assert "there is no module 'digit_task'" in str(caught.value)
    assert "Did you mean digits_task?" in str(caught.value)


def test_a_missing_module_in_a_package_names_the_nearest_there(code: Path) -> None:
    (code / "pack_b").mkdir()
    (code / "pack_b" / "__init__.py").write_text("")
    (code / "pack_b" / "vision.py").write_text("")
    with pytest.raises(NotFound, match=r"Did you mean pack_b\.vision\?"):
        resolve("pack_b.visoin:build", code)


def test_a_missing_module_without_neighbours_says_where_it_was_searched(code: Path) -> None:
    with pytest.raises(NotFound) as caught:
        resolve("zzz_qqq_www:build", code)
    assert str(code) in caught.value.hint


def test_a_missing_function_names_the_nearest(code: Path) -> None:
    (code / "near_task.py").write_text("def build_model():\n    pass\n\ndef other():\n    pass\n")
    with pytest.raises(NotFound, match=r"Did you mean build_model\?"):
        resolve("near_task:build_modle", code)
    with pytest.raises(NotFound, match=r"It has: build_model, other\."):
        resolve("near_task:qqqqqq", code)


def test_what_is_no_function_is_refused(code: Path) -> None:
    (code / "const_task.py").write_text("build = 3\n")
    with pytest.raises(InvalidInput, match="names a int, not a function"):
        resolve("const_task:build", code)


def test_a_failing_import_shows_the_users_traceback_and_nothing_of_ours(code: Path) -> None:
    (code / "broken_task.py").write_text("def helper():\n    return 1 / 0\n\nhelper()\n")
    with pytest.raises(TaskImportFailed) as caught:
        resolve("broken_task:build", code)
    text = str(caught.value)
    assert f'File "{code / "broken_task.py"}", line 4' in text
    assert "ZeroDivisionError: division by zero" in text
    assert "importlib" not in text
    assert "entrypoint.py" not in text


def test_a_missing_import_of_the_users_module_is_his_failure_not_ours(code: Path) -> None:
    (code / "needs_task.py").write_text("import no_such_package_anywhere\n")
    with pytest.raises(TaskImportFailed, match="No module named 'no_such_package_anywhere'"):
        resolve("needs_task:build", code)


def test_a_syntax_error_is_shown(code: Path) -> None:
    (code / "syntax_task.py").write_text("def build(:\n")
    with pytest.raises(TaskImportFailed, match="SyntaxError"):
        resolve("syntax_task:build", code)


def test_a_script_that_exits_on_import_is_told_about_main(code: Path) -> None:
    (code / "exit_task.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(TaskImportFailed) as caught:
        resolve("exit_task:build", code)
    assert "__main__" in caught.value.hint


def test_a_module_of_the_same_name_from_elsewhere_is_not_taken_for_it(code: Path) -> None:
    for name in ("first", "second"):
        (code / name).mkdir()
        (code / name / "same_task.py").write_text(f"def build():\n    return {name!r}\n")
    assert resolve("same_task:build", code / "first")() == "first"
    with pytest.raises(InvalidInput, match="another 'same_task' is loaded already"):
        resolve("same_task:build", code / "second")


def test_a_missing_code_folder(code: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        resolve("x:y", code / "gone")


def test_call_checks_the_arguments_before_calling(code: Path) -> None:
    (code / "args_task.py").write_text("def build(hidden, *, rate=0.1):\n    return hidden, rate\n")
    assert call("args_task:build", {"hidden": 3}, code) == (3, 0.1)
    with pytest.raises(InvalidInput) as caught:
        call("args_task:build", {"hidden": 3, "rte": 0.2}, code)
    assert "rte" in str(caught.value)
    assert "build(hidden, *, rate=0.1)" in caught.value.hint


def test_what_the_function_raises_passes_through(code: Path) -> None:
    (code / "raise_task.py").write_text("def build():\n    raise TypeError('mine')\n")
    with pytest.raises(TypeError, match="mine"):
        call("raise_task:build", {}, code)
