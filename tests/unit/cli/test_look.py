"""What `runs`, `history`, `verify` and `compare` print."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from sojourn.cli.runs import HEADS, NUMBERS, rows
from sojourn.cli.tables import plain_data, print_table
from sojourn.client.history import runs
from sojourn.client.tables import age

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIRST = "00000001-0000-4000-8000-000000000000"
SECOND = "00000002-0000-4000-8000-000000000000"


@pytest.fixture
def neutral(tmp_path):
    """Text without the folders of this test."""
    return lambda text: text.replace(tmp_path.as_uri(), "file:///data").replace(str(tmp_path), "/data")


def masked(text):
    """Digests depend on every detail of the stored form, which is not what these tests are about."""
    return re.sub(r"blake3:[0-9a-f]{64}", "blake3:...", text)


def test_runs_as_a_table(two_stores, neutral, golden, capsys):
    found = rows(runs(two_stores[0]), NOON + timedelta(minutes=60))
    print_table(HEADS, [[neutral(cell) for cell in row] for row in found], right=NUMBERS)
    golden("cli/runs.txt", capsys.readouterr().out)


def test_runs_prints_that_table(sojourn, two_stores):
    code, out, err = sojourn("runs", "--store", two_stores[0].root)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split("   ")[0].strip() == "NAME"
    assert [line.split()[0] for line in lines[1:]] == ["digits", "mnist"]


def test_runs_as_json_and_yaml(sojourn, two_stores):
    _, out, _ = sojourn("runs", "--store", two_stores[0].uri, "-o", "json")
    data = json.loads(out)
    assert [(run["name"], run["commits"], run["term"]) for run in data] == [("digits", 4, 2), ("mnist", 0, 0)]
    assert data[0]["fencedTo"]["runId"] == SECOND
    _, out, _ = sojourn("runs", "--store", two_stores[0].uri, "-o", "yaml")
    assert yaml.safe_load(out) == data


def test_runs_of_an_empty_store(sojourn, tmp_path):
    assert sojourn("runs", "--store", tmp_path) == (0, "", "No runs yet. `sojourn run job.yaml` makes one.\n")


def test_a_store_that_is_not_there(sojourn, tmp_path):
    code, _, err = sojourn("runs", "--store", tmp_path / "none")
    assert code == 1
    assert f"there is no store at {tmp_path / 'none'}" in err
    assert "SOJOURN_STORE" in err


def test_the_store_comes_from_the_environment_and_else_from_this_folder(sojourn, two_stores, monkeypatch):
    monkeypatch.setenv("SOJOURN_STORE", two_stores[1].uri)
    assert "digits" in sojourn("runs")[1]
    monkeypatch.delenv("SOJOURN_STORE")
    monkeypatch.chdir(two_stores[0].root.parent)
    assert "sojourn-runs" in sojourn("runs")[2]


def test_history_over_both_stores(sojourn, two_stores, neutral, golden):
    code, out, _ = sojourn("history", "digits", "--store", two_stores[1].root)
    assert code == 0
    golden("cli/history.txt", masked(neutral(out)))


def test_history_is_the_same_from_either_end(sojourn, two_stores):
    assert sojourn("history", "digits", "--store", two_stores[0].root) == sojourn(
        "history", "digits", "--store", two_stores[1].root
    )


def test_history_of_the_newest_entries_only(sojourn, two_stores):
    _, out, _ = sojourn("history", "digits", "--store", two_stores[0].root, "--last", "2")
    assert "(8 older entries left out; --last 0 shows all)" in out
    _, out, _ = sojourn("history", "digits", "--store", two_stores[0].root, "--last", "0")
    assert "left out" not in out


def test_history_as_json(sojourn, two_stores):
    _, out, _ = sojourn("history", "digits", "--store", two_stores[1].root, "-o", "json")
    chapters = json.loads(out)
    assert [chapter["runId"] for chapter in chapters] == [FIRST, SECOND]
    types = [entry["type"] for entry in chapters[0]["entries"]]
    assert types == [
        "created", "attempt", "commit", "commit", "commit", "retire", "attempt", "commit", "export", "fence",
    ]  # fmt: skip
    assert chapters[0]["entries"][2]["metrics"] == {"loss": 1.0, "val_accuracy": 0.55}


def test_an_ancestor_whose_store_is_gone_is_still_named(sojourn, two_stores, neutral):
    here, there = two_stores
    here.root.rename(here.root.with_name("elsewhere"))
    code, out, _ = sojourn("history", "digits", "--store", there.root)
    assert code == 0
    assert "problem   there is no store at /data/here" in neutral(out)
    assert FIRST in out


def test_an_unknown_run(sojourn, two_stores):
    code, _, err = sojourn("history", "cifar", "--store", two_stores[0].root)
    assert code == 1
    assert "there is no run 'cifar'" in err


def test_verify_a_run_and_a_checkpoint(sojourn, two_stores):
    code, out, _ = sojourn("verify", "digits@300", "--store", two_stores[0].root)
    assert code == 0
    assert out.startswith("digits@300: all good. Checked 1 checkpoint, 2 files, 2 chunks (")
    code, out, _ = sojourn("verify", "digits", "--store", two_stores[1].root)
    assert code == 0
    assert out.startswith("digits: all good. Checked 3 entries of the log, 2 checkpoints, 4 files, ")


def test_verify_finds_a_flipped_bit(sojourn, two_stores):
    _, there = two_stores
    path = next(there.root.glob("**/500-*/ckpt.data-*"))
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    code, out, _ = sojourn("verify", "digits", "--store", there.root)
    assert code == 5
    assert "1 problem" in out
    assert "chunk 0" in out
    code, out, _ = sojourn("verify", "digits", "--store", there.root, "-o", "json")
    assert code == 5
    assert len(json.loads(out)["problems"]) == 1


def test_verify_holds_the_log_to_an_expected_head(sojourn, two_stores):
    store = two_stores[1].root
    head = json.loads(sojourn("history", "digits", "--store", store, "-o", "json")[1])[1]["head"]
    assert sojourn("verify", "digits", "--store", store, "--expect-head", head)[0] == 0
    next(store.glob(f"**/log/{2:020}.json")).unlink()
    code, out, _ = sojourn("verify", "digits", "--store", store, "--expect-head", head)
    assert code == 5
    assert "before the expected" in out
    assert sojourn("verify", "digits", "--store", store, "--expect-head", "nonsense")[0] == 2


def test_compare_a_checkpoint_with_itself(sojourn, two_stores):
    code, out, _ = sojourn("compare", "digits@400", "digits@latest", "--store", two_stores[0].root)
    assert code == 0
    assert out.endswith("3 variables with the same bits, 0 with others\n")


def test_compare_two_checkpoints_of_two_stores(sojourn, two_stores, neutral, golden):
    here, there = two_stores
    code, out, _ = sojourn("compare", "digits@400", "digits@500", "--store", here.root, "--other-store", there.root)
    assert code == 1
    golden("cli/compare.txt", neutral(out))
    code, out, _ = sojourn(
        "compare", "digits@400", "digits@500", "--store", here.root, "--other-store", there.root,
        "--prefix", "model/dense/bias", "-o", "json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["equal"] == 1


def test_best_is_by_the_manifests_metric(sojourn, two_stores):
    _, out, _ = sojourn("compare", "digits@best", "digits@300", "--store", two_stores[0].root)
    assert "0 with others" in out


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d"), (-5, "0s")]
)
def test_age(seconds, text):
    assert age(NOON, NOON + timedelta(seconds=seconds)) == text


def test_plain_data_is_valid_json():
    data = plain_data({"a": float("nan"), "b": (NOON, float("-inf")), "c": {1: None}})
    assert json.loads(json.dumps(data, allow_nan=False)) == {
        "a": "NaN",
        "b": ["2026-01-31T12:00:00Z", "-Infinity"],
        "c": {"1": None},
    }
