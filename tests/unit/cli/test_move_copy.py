"""`sojourn copy` and `sojourn move`: what the transfer package does, as people see it."""

import json

import sojourn as api


def test_copy_then_copy_again(sojourn, two_stores, tmp_path):
    store, target = two_stores[1], tmp_path / "copies"
    code, out, err = sojourn("copy", "digits", "--to", target, "--store", store.root)
    assert (code, err) == (0, "")
    assert f"Copied digits to {target.as_uri()}: it is digits (" in out
    assert "at step 500" in out
    assert "files copied" in out
    code, again, _ = sojourn("copy", "digits", "--to", target, "--store", store.root)
    assert code == 0
    assert again.splitlines()[0] == out.splitlines()[0]
    assert sojourn("verify", "digits", "--store", target)[0] == 0
    assert sojourn("compare", "digits", "digits", "--store", store.root, "--other-store", target)[0] == 0


def test_move_hands_over_and_says_where_to(sojourn, two_stores, tmp_path):
    store, target = two_stores[1], tmp_path / "moved"
    code, out, _ = sojourn("move", "digits", "--to", target, "--store", store.root, "-o", "json")
    assert code == 0
    told = json.loads(out)
    assert (told["name"], told["store"], told["step"]) == ("digits", target.as_uri(), 500)
    assert f"handed over to {target.as_uri()}" in sojourn("runs", "--store", store.root)[1]
    assert "from      " in sojourn("history", "digits", "--store", target)[1]
    code, _, err = sojourn("move", "digits", "--to", tmp_path / "third", "--store", store.root)
    assert code == 4
    assert target.as_uri() in err


def test_move_within_a_store_needs_no_bytes(sojourn, two_stores):
    store = two_stores[1]
    code, out, _ = sojourn("move", "digits", "--to", store.root, "--name", "renamed", "--store", store.root)
    assert code == 0
    assert "checkpoints were verified and stay where they are" in out


def test_the_same_from_python(two_stores, tmp_path):
    seen = []
    result = api.copy(
        "digits", tmp_path / "copies", store=two_stores[1], needed=True, progress=lambda *at: seen.append(at)
    )
    assert result.child.state.latest.step == 500
    assert seen[-1][0] == seen[-1][1] > 0
    moved = api.move("digits", tmp_path / "moved", store=two_stores[1])
    chapters = api.history("digits", store=tmp_path / "moved").chapters
    assert [chapter.run_id for chapter in chapters][-1] == moved.child.state.run_id
    assert len(chapters) == 3
    assert api.verify("digits@latest", store=tmp_path / "moved").ok
    assert [run.name for run in api.runs(tmp_path / "copies")] == ["digits"]
