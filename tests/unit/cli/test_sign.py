"""`sojourn sign`, and `sojourn verify` with somebody to trust."""

import json

from helpers.signing import Authority, certificate_pem, new_key, private_pem, public_pem


def test_with_an_encrypted_key(two_stores, tmp_path, sojourn, monkeypatch):
    key = new_key()
    (tmp_path / "private.pem").write_bytes(private_pem(key, "secret").data)
    (tmp_path / "public.pem").write_bytes(public_pem(key).data)
    monkeypatch.chdir(tmp_path)
    store = ("--store", two_stores[1].uri)
    code, _, said = sojourn("sign", "digits", "--key", "private.pem", *store)
    assert code == 2
    assert "the private key in private.pem is encrypted" in said
    assert "SOJOURN_KEY_PASSPHRASE" in said
    monkeypatch.setenv("SOJOURN_KEY_PASSPHRASE", "secret")
    code, out, _ = sojourn("sign", "digits", "--key", "private.pem", *store)
    assert code == 0
    assert "/model.sig: 3 files (" in out
    code, out, _ = sojourn("verify", "digits@500", "--key", "public.pem", *store)
    assert code == 0
    assert "Signed by key " in out
    code, out, _ = sojourn("verify", "digits", "--key", "public.pem", *store)
    assert code == 5
    assert "is not signed: model.sig is missing there" in out


def test_with_a_certificate(two_stores, tmp_path, sojourn, monkeypatch):
    root, key = Authority(), new_key()
    files = {
        "release.pem": private_pem(key),
        "certificate.pem": certificate_pem(root.issue("release", key)),
        "root.pem": certificate_pem(root.certificate),
        "other.pem": certificate_pem(Authority().certificate),
    }
    for name, pem in files.items():
        (tmp_path / name).write_bytes(pem.data)
    monkeypatch.chdir(tmp_path)
    store = ("--store", two_stores[1].uri)
    signing = ("sign", "digits@500", "--key", "release.pem", "--certificate", "certificate.pem", "-o", "json")
    code, out, _ = sojourn(*signing, *store)
    assert code == 0
    assert [one["signer"] for one in json.loads(out)] == ["CN=release"]
    code, out, _ = sojourn("verify", "digits@latest", "--certificate-chain", "root.pem", *store, "-o", "json")
    assert code == 0
    assert json.loads(out)["signers"] == ["CN=release"]
    code, out, _ = sojourn("verify", "digits@latest", "--certificate-chain", "other.pem", *store)
    assert code == 5
    assert "does not lead to a trusted root" in out
    code, _, said = sojourn("verify", "digits", "--key", "missing.pem", *store)
    assert code == 2
    assert "cannot read missing.pem" in said


def test_a_folder_of_that_name_is_meant_where_no_store_is(tmp_path, sojourn, monkeypatch):
    key = new_key()
    (tmp_path / "private.pem").write_bytes(private_pem(key).data)
    (tmp_path / "public.pem").write_bytes(public_pem(key).data)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "model").write_text("weights")
    monkeypatch.chdir(tmp_path)
    assert sojourn("sign", "digits", "--key", "private.pem")[0] == 0
    code, out, _ = sojourn("verify", "digits", "--key", "public.pem")
    assert code == 0
    assert "digits: all good. Checked 1 file" in out
    (tmp_path / "digits" / "model").write_text("others")
    assert sojourn("verify", "digits", "--key", "public.pem")[0] == 5
    assert sojourn("sign", "digits", "--key", "private.pem", "--all")[0] == 2
