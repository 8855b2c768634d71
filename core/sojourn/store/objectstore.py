"""Runs in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage, by obstore.

Exclusive create is `If-None-Match: *` (S3, Azure) or a generation match (GCS). obstore repeats requests that got no
answer, so "exists already" may speak of this very call's object: callers read back, as the contract says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore import exceptions, store

from sojourn.errors import InvalidInput, SojournError, StoreError
from sojourn.store.base import Buffer, KeyExists, KeyMissing, ObjectInfo, StoreDenied, Writer
from sojourn.store.keys import check_key, check_prefix

if TYPE_CHECKING:
    from obstore import WritableFile
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

# A multipart upload has at most 10,000 parts on S3: 16 MiB each make 156 GiB an object.
_PART_BYTES = 16 << 20
_PARTS_AT_ONCE = 4
# A connection may be slow, but not silent; "timeout" is for a whole transfer.
_TIMEOUTS: ClientConfig = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(minutes=15),
}
_HINTS = {
    exceptions.PermissionDeniedError: "These credentials may not do that there: check the bucket's policy.",
    exceptions.UnauthenticatedError: "No valid credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (s3), "
    "GOOGLE_APPLICATION_CREDENTIALS (gs), or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (az).",
    FileNotFoundError: "Check the bucket's name, its region and the endpoint.",
    exceptions.NotSupportedError: "This store lacks an operation that runs need; see docs/concepts/stores.md.",
}
_DENIED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_UNREACHABLE = "Check the endpoint and the network; what was committed before is unharmed."


class _ObjectWriter:
    def __init__(self, file: WritableFile, where: str) -> None:
        self._file = file
        self._where = where

    def write(self, data: Buffer) -> None:
        with _errors(self._where, "write"):
            self._file.write(memoryview(data).cast("B"))


class ObjectStore:
    """Objects below `prefix` of a bucket or container. `open_object_store` makes one from a URI."""

    concurrency = 16

    def __init__(self, client: S3Store | GCSStore | AzureStore, uri: str) -> None:
        self._client = client
        self._uri = uri

    @property
    def uri(self) -> str:
        return self._uri

    def create(self, key: str, data: Buffer) -> None:
        with self._errors(key, "create"):
            try:
                obstore.put(self._client, check_key(key), _bytes(data), mode="create", use_multipart=False)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
                raise KeyExists(f"{self._uri}/{key} exists already") from error

    def put(self, key: str, data: Buffer) -> None:
        with self._errors(key, "write"):
            obstore.put(self._client, check_key(key), _bytes(data), chunk_size=_PART_BYTES)

    @contextmanager
    def open_writer(self, key: str) -> Iterator[Writer]:
        with self._errors(key, "write"):
            file = obstore.open_writer(
                self._client, check_key(key), buffer_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )
        # Left alone after an exception, the upload is never completed, and so never visible.
        yield _ObjectWriter(file, f"{self._uri}/{key}")
        with self._errors(key, "write"):
            file.close()

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        check_key(key)
        with self._errors(key, "read"):
            if offset == 0 and length is None:
                return bytes(obstore.get(self._client, key).bytes())
            if length == 0 or offset >= (size := self.stat(key).size):
                return b""
            end = size if length is None else min(size, offset + length)
            return bytes(obstore.get_range(self._client, key, start=offset, end=end))

    def read_into(self, key: str, offset: int, target: memoryview) -> int:
        """See DirectStore; one request, unless the object ends before the range does."""
        if not target:
            return 0
        with self._errors(key, "read"):
            try:
                data = obstore.get_range(self._client, check_key(key), start=offset, length=len(target))
            except (exceptions.BaseError, OSError):
                # A range behind the end is an error of its own kind on each server.
                if offset < self.stat(key).size:
                    raise
                return 0
        found = memoryview(data)
        target[: len(found)] = found
        return len(found)

    def expect(self, key: str, offset: int, length: int) -> None:
        """Nothing: the streams ask for enough at once."""

    def stat(self, key: str) -> ObjectInfo:
        with self._errors(key, "read"):
            return ObjectInfo(key, obstore.head(self._client, check_key(key))["size"])

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        folder = check_prefix(prefix)
        with self._errors(folder, "list"):
            # Servers differ in where they start (Azurite ignores it) and in order ("a-b" and "a/b" in SeaweedFS).
            found = [
                ObjectInfo(item["path"], item["size"])
                for page in obstore.list(self._client, folder or None)
                for item in page
                if item["path"] > start_after
            ]
        return iter(sorted(found, key=lambda info: info.key))

    def list_folders(self, prefix: str = "") -> Iterator[str]:
        folder = check_prefix(prefix)
        with self._errors(folder, "list"):
            found = obstore.list_with_delimiter(self._client, folder or None)["common_prefixes"]
        return iter(sorted(path.rstrip("/").rpartition("/")[2] for path in found))

    def delete(self, key: str) -> None:
        with self._errors(key, "delete"):
            try:
                obstore.delete(self._client, check_key(key))
            except FileNotFoundError:
                return

    def free_bytes(self) -> int | None:
        return None

    def _errors(self, key: str, verb: str) -> Any:
        return _errors(f"{self._uri}/{key}", verb)


def open_object_store(uri: str, options: Mapping[str, str] | None = None) -> ObjectStore:
    """The store at s3://bucket[/prefix], gs://bucket[/prefix] or az://container[/prefix].

    Args:
        uri: bucket or container, and the prefix below which runs lie.
        options: obstore's configuration (endpoint, region, access_key_id, ...); what is not given comes from the
            environment (AWS_*, GOOGLE_*, AZURE_*), an instance's metadata or a workload identity.

    Raises:
        InvalidInput: the URI or an option is malformed.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = check_prefix(prefix)
    if not bucket:
        raise InvalidInput(f"{uri!r} names no bucket", hint=f"Write {scheme}://<bucket>/<prefix>.")
    config = dict(options or {})
    client_options: ClientConfig = {**_TIMEOUTS}
    if config.get("endpoint", config.get("base_url", "")).startswith("http://"):
        client_options["allow_http"] = True
    retries: RetryConfig = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}
    common: dict[str, Any] = {
        "prefix": prefix or None,
        "client_options": client_options,
        "retry_config": retries,
    }
    canonical = f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else "")
    classes = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}
    if scheme not in classes:
        raise InvalidInput(f"{uri!r} is not an object store", hint="Those are s3://, gs:// and az://.")
    try:
        return ObjectStore(classes[scheme](bucket, **common, **config), canonical)
    except exceptions.BaseError as error:
        raise InvalidInput(f"cannot open {canonical}: {_first_line(error)}", hint=_hint(error)) from error


def _bytes(data: Buffer) -> memoryview:
    return memoryview(data).cast("B")


@contextmanager
def _errors(where: str, verb: str) -> Iterator[None]:
    try:
        yield
    except SojournError:
        raise
    except FileNotFoundError as error:
        if verb != "read":
            raise StoreError(f"cannot {verb} {where}: there is no such bucket", hint=_hint(error)) from error
        raise KeyMissing(f"{where} does not exist") from error
    except (exceptions.BaseError, OSError) as error:
        kind = StoreDenied if isinstance(error, _DENIED) else StoreError
        raise kind(f"cannot {verb} {where}: {_first_line(error)}", hint=_hint(error)) from error


def _first_line(error: Exception) -> str:
    # obstore appends its whole chain of causes for debugging, over many lines.
    return str(error).partition("\n")[0]


def _hint(error: Exception) -> str:
    return next((hint for cls, hint in _HINTS.items() if isinstance(error, cls)), _UNREACHABLE)
