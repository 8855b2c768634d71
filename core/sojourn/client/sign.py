"""Sign checkpoints, exports and folders of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.checkpoint.files import load_file_set
from sojourn.checkpoint.sweep import delete_folder
from sojourn.client.extras import require
from sojourn.client.settings import Settings
from sojourn.client.stores import StoreLike, existing_store
from sojourn.errors import InvalidInput, NotFound
from sojourn.runlog.address import Address, select
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo, ExportInfo
from sojourn.runlog.refusals import label
from sojourn.runlog.runs import find_run
from sojourn.runlog.state import RunState
from sojourn.store.posix import PosixStore

if TYPE_CHECKING:
    from sojourn.signing.keys import Pem, Signer, Trust
    from sojourn.signing.sign import Algorithm, Signed

PASSPHRASE = "SOJOURN_KEY_PASSPHRASE"
_NEEDED = ("cryptography",)


def sign(
    what: str,
    by: Signer,
    *,
    store: StoreLike | None = None,
    export: int | None = None,
    everything: bool = False,
    algorithm: Algorithm = "blake3",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Signed, ...]:
    """Sign a checkpoint, an export, or the files below a folder, after everything was read and compared.

    Args:
        what: a run ("digits": its newest checkpoint), a checkpoint ("digits@1200"), or a folder of files.
        by: who signs, as `signer` loads it.
        store: where the run is; where it is given, `what` is no folder.
        export: the version of the run's export to sign instead; 0 is the newest.
        everything: sign all checkpoints and exports of the run.
        algorithm: hash of the digests that are signed; model_signing's command line verifies "sha256" alone.
        progress: called with the bytes read so far and in all, for each thing that is signed.

    Returns:
        What was signed.

    Raises:
        NotFound: there is no such run, checkpoint or export.
        CorruptData: what is stored is not what was written; it was not signed.
        StoreError: the store cannot be read or written.
    """
    from sojourn.signing.sign import sign_folder, sign_stored

    folder = local_folder(what, store)
    if folder is not None:
        if export is not None or everything:
            raise InvalidInput(f"{what} is a folder, and no run with exports", hint="Name a run, or leave that out.")
        return (sign_folder(PosixStore(folder), "", folder.resolve().name, by, progress, algorithm),)
    address = Address.parse(what)
    log = find_run(existing_store(store), address.name, address.namespace)
    done = []
    for info in _chosen(log.state, address, export, everything):
        place = location(log, info)
        name = f"{log.state.name}@{info.step}"
        files = load_file_set(log.store, place, info.manifest)
        done.append(sign_stored(log.store, files, name, by, progress, algorithm))
        if not _exists(log.refresh(), info):
            # The files may be gone already, and a lone signature would only be in the way.
            delete_folder(log.store, place)
            raise NotFound(f"{place} was retired while it was signed", hint="Sign a newer one.")
    return tuple(done)


def signer(
    key: str | Path,
    *,
    passphrase: str | None = None,
    ask: Callable[[], str] | None = None,
    certificate: str | Path | None = None,
    chain: Sequence[str | Path] = (),
    now: datetime | None = None,
) -> Signer:
    """Who signs: a private key (PEM, ECDSA on P-256, P-384 or P-521), and its certificate if it has one.

    Args:
        key: file of the private key.
        passphrase: of the key, if it is encrypted; by default the environment variable SOJOURN_KEY_PASSPHRASE.
        ask: gives the passphrase where the key turns out to need one that is not known.
        certificate: file of the key's certificate.
        chain: files of the certificates between that one and the root.
        now: when the certificate must be valid; by default the present.

    Raises:
        InvalidInput: a file is not what it should be, or the passphrase is missing or wrong.
        BadSignature: the certificate is not valid.
    """
    require("signing", _NEEDED, "Signing")
    from sojourn.signing.keys import NeedsPassphrase, load_signer

    load = partial(
        load_signer,
        _pem(key),
        certificate=None if certificate is None else _pem(certificate),
        chain=[_pem(path) for path in chain],
        now=now or datetime.now(UTC),
    )
    try:
        return load(passphrase=passphrase or Settings.load().environment.get(PASSPHRASE) or None)
    except NeedsPassphrase:
        if ask is None:
            raise
    return load(passphrase=ask())


def trust(keys: Sequence[str | Path] = (), roots: Sequence[str | Path] = ()) -> Trust | None:
    """Whom to trust: the owners of public keys, and of certificates below roots; None where neither is named.

    Raises InvalidInput.
    """
    if not keys and not roots:
        return None
    require("signing", _NEEDED, "Checking signatures")
    from sojourn.signing.keys import load_trust

    return load_trust([_pem(path) for path in keys], [_pem(path) for path in roots])


def local_folder(what: str, store: StoreLike | None) -> Path | None:
    """The folder that `what` names, if it is one and not a run's address."""
    folder = Path(what)
    return folder if store is None and folder.is_dir() else None


def location(log: RunLog, info: CommitInfo | ExportInfo) -> str:
    """Key of the folder that holds a checkpoint or an export."""
    return info.location(log.prefix) if isinstance(info, CommitInfo) else f"{log.prefix}/{info.key}"


def choose_export(state: RunState, version: int) -> ExportInfo:
    """The export with that version, or with 0 the newest. Raises NotFound."""
    for export in reversed(state.exports):
        if version in (0, export.version):
            return export
    raise NotFound(
        f"run {label(state)} has no export {version or ''}".rstrip(), hint="`sojourn history` lists its exports."
    )


def _chosen(
    state: RunState, address: Address, export: int | None, everything: bool
) -> tuple[CommitInfo | ExportInfo, ...]:
    if everything:
        return (*state.commits, *state.exports)
    return (select(state, address.selector) if export is None else choose_export(state, export),)


def _exists(state: RunState, info: CommitInfo | ExportInfo) -> bool:
    keys = {commit.checkpoint for commit in state.commits} | {export.key for export in state.exports}
    return (info.checkpoint if isinstance(info, CommitInfo) else info.key) in keys


def _pem(path: str | Path) -> Pem:
    from sojourn.signing.keys import Pem

    try:
        return Pem(str(path), Path(path).read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or error}", hint="Name a PEM file.") from error
