"""A folder's signature: made, checked, and what no change to the folder or the signature gets past it."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.signing import NOON, YEAR, Authority, certificate_pem, new_key, private_pem, public_pem
from sojourn.errors import InvalidInput, SojournError
from sojourn.signing.bundle import Bundle, signed_bytes
from sojourn.signing.check import FolderCheck, check_folder
from sojourn.signing.errors import BadSignature, Unsigned
from sojourn.signing.keys import NeedsPassphrase, Pem, Signer, Trust, load_signer, load_trust
from sojourn.signing.sign import sign_folder
from sojourn.signing.statement import SIGNATURE_FILE, Resource, Statement
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore

KEY, OTHER = new_key(), new_key()
ROOT = Authority("root")
MIDDLE = Authority("middle", ROOT)


def silent(done: int, total: int) -> None:
    pass


def trusting(key: ec.EllipticCurvePrivateKey = KEY) -> Trust:
    return load_trust([public_pem(key)])


def checked(folder: Path, trust: Trust | None = None) -> FolderCheck:
    return check_folder(PosixStore(folder), "", trust or trusting(), NOON, silent)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that KEY signed."""
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph" * 1000)
    (folder / "variables" / "data").write_bytes(bytes(range(256)) * 20_000)
    (folder / "empty").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref")
    sign_folder(PosixStore(folder), "", "model", Signer(KEY), silent)
    return folder


def test_a_signed_folder_holds_wherever_it_lies(model: Path, tmp_path: Path) -> None:
    moved = shutil.move(model, tmp_path / "elsewhere")
    found = checked(Path(moved))
    assert found.problems == ()
    assert found.signer.startswith("key ")
    assert (found.files, found.bytes) == (3, 5000 + 256 * 20_000)


def test_a_large_file_among_small_ones_is_hashed_by_all_cores_to_the_same_digest(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * (40 << 12))
    (tmp_path / "small").write_bytes(b"small")
    sign_folder(PosixStore(tmp_path), "", "model", Signer(KEY), silent)
    payload = Bundle.from_bytes((tmp_path / SIGNATURE_FILE).read_bytes(), source="it").payload
    for resource in Statement.from_bytes(payload, source="it").resources:
        assert resource.digest == blake3((tmp_path / resource.path).read_bytes()).digest()
    assert checked(tmp_path).problems == ()


def test_progress_ends_at_all_bytes(model: Path) -> None:
    seen: list[tuple[int, int]] = []
    check_folder(PosixStore(model), "", trusting(), NOON, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5000 + 256 * 20_000, 5000 + 256 * 20_000)
    assert seen == sorted(seen)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_each_curve_of_the_format(model: Path, curve: ec.EllipticCurve) -> None:
    key = new_key(curve)
    signer = load_signer(private_pem(key, "secret"), passphrase="secret", now=NOON)
    sign_folder(PosixStore(model), "", "model", signer, silent)
    assert checked(model, trusting(key)).problems == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "saved_model.pb").write_bytes(b"Graph" * 1000), "saved_model.pb: the bytes are not those"),
        (lambda f: (f / "saved_model.pb").write_bytes(b"graph" * 999), "saved_model.pb: the bytes are not those"),
        (lambda f: (f / "saved_model.pb").unlink(), "signs saved_model.pb, which is not among"),
        (lambda f: (f / "variables" / "more").touch(), "holds variables/more, which model.sig does not sign"),
        (lambda f: (f / "empty").write_bytes(b"x"), "empty: the bytes are not those"),
    ],
    ids=["changed", "shorter", "gone", "extra", "filled"],
)
def test_a_changed_folder(model: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    change(model)
    problems = checked(model).problems
    assert len(problems) == 1
    assert said in problems[0]


@pytest.mark.parametrize("name", ["saved_model.pb", "variables"])
def test_a_symbolic_link_is_refused_although_it_leads_to_the_same_bytes(model: Path, name: str) -> None:
    elsewhere = model.parent / "elsewhere"
    (model / name).rename(elsewhere)
    (model / name).symlink_to(elsewhere)
    with pytest.raises(BadSignature, match=rf"{name} is a symbolic link\n.*put the file itself there"):
        checked(model)
    with pytest.raises(BadSignature, match="is a symbolic link"):
        sign_folder(PosixStore(model), "", "model", Signer(KEY), silent)


def test_no_signature(model: Path) -> None:
    (model / SIGNATURE_FILE).unlink()
    with pytest.raises(Unsigned, match=r"is not signed: model.sig is missing there\n.*sojourn sign"):
        checked(model)


def test_another_key(model: Path) -> None:
    with pytest.raises(BadSignature, match=r"was made with key .*, and key .* is trusted"):
        checked(model, trusting(OTHER))
    assert checked(model, load_trust([public_pem(OTHER), public_pem(KEY)])).problems == ()


def test_no_truncated_signature_is_read_as_one(model: Path) -> None:
    whole = (model / SIGNATURE_FILE).read_bytes()
    for length in range(0, len(whole), 7):
        (model / SIGNATURE_FILE).write_bytes(whole[:length])
        with pytest.raises(BadSignature, match="is not a model signature"):
            checked(model)


def test_a_huge_signature_is_not_read(model: Path) -> None:
    with (model / SIGNATURE_FILE).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(BadSignature, match="no signature has more than"):
        checked(model)


_STORE = MemoryStore()
_STORE.put("model/a", b"a")
_STORE.put("model/b/c", b"c")
sign_folder(_STORE, "model", "model", Signer(KEY), silent)
_SIGNED = _STORE.read(f"model/{SIGNATURE_FILE}")


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(_SIGNED) - 1), st.integers(1, 255))
def test_a_changed_signature_holds_only_where_it_says_the_same(at: int, flip: int) -> None:
    changed = bytearray(_SIGNED)
    changed[at] ^= flip
    store = MemoryStore()
    for info in _STORE.list():
        store.put(info.key, _STORE.read(info.key))
    store.put(f"model/{SIGNATURE_FILE}", changed)
    try:
        found = check_folder(store, "model", trusting(), NOON, silent)
    except BadSignature:
        return
    # Names that nothing depends on may be spelled otherwise (the hint, the key's id); what was signed may not.
    assert found.problems == ()
    before, after = (Bundle.from_bytes(data, source="it") for data in (_SIGNED, bytes(changed)))
    assert before.payload == after.payload


_WORDS = st.sampled_from(["mediaType", "dsseEnvelope", "verificationMaterial", "_type", "predicate", "resources"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_WORDS, inner),
)


@settings(deadline=None, max_examples=200)
@given(_JSON)
def test_no_json_breaks_the_parsers(value: object) -> None:
    data = json.dumps(value).encode()
    for parse in (Bundle.from_bytes, Statement.from_bytes):
        with pytest.raises(BadSignature):
            parse(data, source="it")


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../b", "", "./a", "a//b"])
def test_a_signed_list_cannot_point_outside(path: str) -> None:
    payload = (
        Statement("m", (Resource("good", "blake3", bytes(32)),))
        .to_bytes()
        .replace(b'"good"', json.dumps(path).encode())
    )
    with pytest.raises(BadSignature, match="is not the path of a file within a folder"):
        Statement.from_bytes(payload, source="it")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"blake3","digest":"00', b'"blake3","digest":"01', "not the one of what it lists"),
        (b'"algorithm":"blake3"', b'"algorithm":"md5"', "no digest of a known hash"),
        (b'"method":"files"', b'"method":"tensors"', "method 'tensors' is not known"),
        (b"signature/v1.0", b"Digests/v0.1", "not a https://model_signing/signature/v1.0"),
    ],
)
def test_statements_that_are_not_understood_are_refused(old: bytes, new: bytes, said: str) -> None:
    payload = Statement("m", (Resource("a", "blake3", bytes(32)),)).to_bytes()
    assert old in payload
    with pytest.raises(BadSignature, match=said):
        Statement.from_bytes(payload.replace(old, new), source="it")


def test_a_file_that_is_listed_twice() -> None:
    payload = Statement("m", (Resource("a", "blake3", bytes(32)), Resource("a", "blake3", bytes(32)))).to_bytes()
    with pytest.raises(BadSignature, match="listed twice"):
        Statement.from_bytes(payload, source="it")


def signed_by_certificate(model: Path, **issue: object) -> None:
    key = new_key()
    certificate = MIDDLE.issue("release", key, **issue)  # type: ignore[arg-type]
    signer = Signer(key, (certificate, MIDDLE.certificate))
    sign_folder(PosixStore(model), "", "model", signer, silent)


def test_a_certificate_below_a_trusted_root(model: Path) -> None:
    signed_by_certificate(model)
    found = checked(model, load_trust(roots=[certificate_pem(ROOT.certificate)]))
    assert (found.signer, found.problems) == ("CN=release", ())


def test_a_certificate_of_somebody_else(model: Path) -> None:
    signed_by_certificate(model)
    impostor = load_trust(roots=[certificate_pem(Authority("root").certificate)])
    with pytest.raises(BadSignature, match=r"CN=release does not lead to a trusted root"):
        checked(model, impostor)
    with pytest.raises(BadSignature, match=r"made with a certificate, and only key .*\n.*--certificate-chain"):
        checked(model)


def test_an_expired_certificate(model: Path) -> None:
    signed_by_certificate(model, until=NOON - timedelta(days=1))
    with pytest.raises(
        BadSignature, match=r"CN=release is valid from .* to 2026-01-30 12:00 UTC, and it is 2026-01-31"
    ):
        checked(model, load_trust(roots=[certificate_pem(ROOT.certificate)]))


def test_an_expired_authority(model: Path) -> None:
    signed_by_certificate(model)
    trust = load_trust(roots=[certificate_pem(ROOT.certificate)])
    with pytest.raises(BadSignature):
        check_folder(PosixStore(model), "", trust, NOON + 101 * YEAR, silent)


def test_a_certificate_that_is_not_for_signatures(model: Path) -> None:
    signed_by_certificate(model, signs=False)
    with pytest.raises(BadSignature, match="not one for signatures"):
        checked(model, load_trust(roots=[certificate_pem(ROOT.certificate)]))


def test_a_certificate_cannot_vouch_for_another(model: Path) -> None:
    """An owner of an ordinary certificate issues one himself."""
    owner = Authority("owner", MIDDLE)
    owner.certificate = MIDDLE.issue("owner", owner.key)
    key = new_key()
    signer = Signer(key, (owner.issue("release", key), owner.certificate, MIDDLE.certificate))
    sign_folder(PosixStore(model), "", "model", signer, silent)
    with pytest.raises(BadSignature, match="does not lead to a trusted root"):
        checked(model, load_trust(roots=[certificate_pem(ROOT.certificate)]))


def test_a_certificate_with_another_ones_signature(model: Path) -> None:
    signed_by_certificate(model)
    path = model / SIGNATURE_FILE
    bundle = Bundle.from_bytes(path.read_bytes(), source="it")
    forged = OTHER.sign(signed_bytes(bundle.payload), ec.ECDSA(hashes.SHA256()))
    path.write_bytes(Bundle(bundle.payload, forged, chain=bundle.chain).to_bytes())
    with pytest.raises(BadSignature, match="is not by CN=release"):
        checked(model, load_trust(roots=[certificate_pem(ROOT.certificate)]))


GOLDEN = Path(__file__).parents[2] / "golden" / "signatures"


@pytest.mark.parametrize("name", ["default", "blake3", "shards", "certificate"])
def test_signatures_of_model_signing(tmp_path: Path, name: str) -> None:
    """Made by model-signing 1.1.1: by default, with BLAKE3, by shards of 1,000 bytes, with a certificate."""
    folder = shutil.copytree(GOLDEN / "model", tmp_path / "model")
    shutil.copy(GOLDEN / f"{name}.sig", folder / SIGNATURE_FILE)
    public, root = ((Pem(file, (GOLDEN / file).read_bytes())) for file in ("public.pem", "root.pem"))
    trust = load_trust(roots=[root]) if name == "certificate" else load_trust([public])
    assert checked(folder, trust).problems == ()
    (folder / "variables" / "variables.data").write_bytes(bytes(2560))
    problems = checked(folder, trust).problems
    assert problems
    assert all("the bytes are not those that were signed" in problem for problem in problems)
    (folder / "variables" / "variables.data").write_bytes(bytes(range(256)) * 10 + b"x")
    assert checked(folder, trust).problems


def test_what_is_no_key_of_the_format() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    edwards = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    cases: list[tuple[Pem, str | None, type[SojournError], str]] = [
        (Pem("k", edwards), None, InvalidInput, "not of a kind that the format allows"),
        (private_pem(new_key(ec.SECP256K1())), None, InvalidInput, "not of a kind"),
        (private_pem(KEY, "secret"), None, NeedsPassphrase, "is encrypted"),
        (private_pem(KEY, "secret"), "wrong", InvalidInput, "or the passphrase is wrong"),
        (private_pem(KEY), "secret", InvalidInput, "is not encrypted"),
        (public_pem(KEY), None, InvalidInput, "is no private key in PEM"),
    ]
    for key, passphrase, kind, said in cases:
        with pytest.raises(kind, match=said):
            load_signer(key, passphrase=passphrase, now=NOON)
    with pytest.raises(InvalidInput, match="is no public key"):
        load_trust([private_pem(KEY)])
    with pytest.raises(InvalidInput, match="holds no certificates"):
        load_trust(roots=[public_pem(KEY)])


def test_a_certificate_that_cannot_be_used_signs_nothing() -> None:
    key = new_key()
    expired, other = ROOT.issue("release", key, until=NOON - YEAR / 2), ROOT.issue("release", new_key())
    with pytest.raises(BadSignature, match="is valid from"):
        load_signer(private_pem(key), certificate=certificate_pem(expired), now=NOON)
    with pytest.raises(InvalidInput, match="is not that of the key"):
        load_signer(private_pem(key), certificate=certificate_pem(other), now=NOON)
    with pytest.raises(InvalidInput, match="not the key's own"):
        load_signer(private_pem(key), chain=[certificate_pem(other)], now=NOON)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no file to sign"):
        sign_folder(PosixStore(tmp_path), "", "model", Signer(KEY), silent)
