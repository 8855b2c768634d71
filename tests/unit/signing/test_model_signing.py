"""What Sojourn signs holds for model-signing's command line. `make bench-sign` puts it where this test looks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from helpers.signing import NOON, Authority, certificate_pem, new_key, private_pem, public_pem
from sojourn.signing.keys import load_signer
from sojourn.signing.sign import sign_folder
from sojourn.signing.statement import SIGNATURE_FILE
from sojourn.store.posix import PosixStore

TOOL = Path(__file__).parents[3] / "benchmarks" / "out" / "model-signing" / "bin" / "model_signing"
pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="needs model-signing: make bench-sign")


def silent(done: int, total: int) -> None:
    pass


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(bytes(1000))
    return folder


def holds(folder: Path, *how: object) -> bool:
    command = [TOOL, "verify", how[0], "--signature", folder / SIGNATURE_FILE, *how[1:], folder]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_a_key(model: Path, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key, public = new_key(curve), tmp_path / "public.pem"
    public.write_bytes(public_pem(key).data)
    sign_folder(PosixStore(model), "", "m", load_signer(private_pem(key), now=NOON), silent, "sha256")
    assert holds(model, "key", "--public_key", public)
    (model / "saved_model.pb").write_bytes(b"other")
    assert not holds(model, "key", "--public_key", public)


def test_a_certificate(model: Path, tmp_path: Path) -> None:
    root, key = Authority("root"), new_key()
    middle = Authority("middle", root)
    signer = load_signer(
        private_pem(key),
        certificate=certificate_pem(middle.issue("release", key)),
        chain=[certificate_pem(middle.certificate)],
        now=NOON,
    )
    sign_folder(PosixStore(model), "", "m", signer, silent, "sha256")
    (tmp_path / "root.pem").write_bytes(certificate_pem(root.certificate).data)
    (tmp_path / "other.pem").write_bytes(certificate_pem(Authority("root").certificate).data)
    assert holds(model, "certificate", "--certificate_chain", tmp_path / "root.pem")
    assert not holds(model, "certificate", "--certificate_chain", tmp_path / "other.pem")
