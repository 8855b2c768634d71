"""What `import sojourn` offers."""

import subprocess
import sys

import pytest

import sojourn


def test_every_public_name_loads():
    for name in sojourn.__all__:
        assert getattr(sojourn, name) is not None
        assert name in dir(sojourn)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'sojourn' has no attribute 'trian'"):
        _ = sojourn.trian


def test_type_checkers_see_the_functions(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sojourn\n"
        "handle: sojourn.Handle = sojourn.run('job.yaml', store='runs')\n"
        "outcome: sojourn.Outcome = handle.wait(timeout=5)\n"
        "wrong: int = sojourn.history('digits')\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-incremental", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "script.py:4: error: Incompatible types in assignment" in done.stdout
    assert "Found 1 error" in done.stdout


def test_a_history_reads_well_where_it_is_printed_and_in_a_notebook(two_stores):
    found = sojourn.history("digits", store=two_stores[1])
    text, html = str(found), found._repr_html_()
    assert text.count("#   TIME") == 2
    assert "handed over to" in text
    assert html.count("<table>") == html.count("</table>") == 2
    assert "<td" in html
