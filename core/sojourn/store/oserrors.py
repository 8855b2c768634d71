"""What the operating system's errors mean for somebody who keeps runs in a directory."""

from __future__ import annotations

import errno
from pathlib import Path

from sojourn.errors import SojournError, StoreError
from sojourn.store.base import KeyMissing, StoreDenied, StoreFull

_NO_LINK = (
    "The file system refuses it. FAT, SMB and most FUSE mounts of object stores have no link(2) and cannot hold runs: "
    "use a local disk, NFS, or an s3://, gs:// or az:// store."
)
_KINDS = {errno.ENOSPC: StoreFull, errno.EDQUOT: StoreFull, errno.EACCES: StoreDenied}
_HINTS = {
    errno.ENOSPC: "The file system is full: free room there, or keep fewer checkpoints (spec.checkpoint.keepLast).",
    errno.EDQUOT: "The quota is used up: free room there, or keep fewer checkpoints (spec.checkpoint.keepLast).",
    errno.EIO: "The disk or its network failed: look at the kernel's log; what was committed before is still there.",
    errno.EROFS: "The file system is read-only: mount it for writing.",
    errno.EACCES: "This user may not do that there: check the owner and mode of the store's directory.",
    errno.EPERM: _NO_LINK,
    errno.EOPNOTSUPP: _NO_LINK,
    errno.ENOSYS: _NO_LINK,
    errno.EXDEV: "A folder of the store lies on another file system: keep a store on one file system.",
    errno.ESTALE: "The NFS server lost track of the file: try again; if it stays, mount the export again.",
    errno.ETIMEDOUT: "The file server does not answer: try again when it does.",
    errno.ENAMETOOLONG: "Choose a shorter store path or run name.",
    errno.ENOENT: "The store's directory is not there and cannot be made: check its path, and whether it is mounted.",
    errno.ENOTDIR: "A part of the store's path is a file: give the store a directory of its own.",
}


def store_error(error: OSError, path: Path, verb: str) -> SojournError:
    """The StoreError (or, for a file that is not there when read, KeyMissing) that `error` amounts to."""
    if verb == "read" and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        return KeyMissing(f"{path} does not exist")
    reason = error.strerror or str(error)
    kind = _KINDS.get(error.errno or 0, StoreError)
    return kind(f"cannot {verb} {path}: {reason}", hint=_HINTS.get(error.errno or 0, ""))
