"""The content-addressed cache: blobs by SHA-256 and small tables, safe for concurrent threads and processes.

`system.directory_store.DirectoryStore(root)` keeps it on disk, `system.memory_store.MemoryStore()` in memory,
`system.bucket_store.open_bucket_store(bucket)` in an object store, for several machines.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.protocol import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
_LONGEST_KEY = 200
_CHUNK = 1 << 20
_CHECKSUM = 16


class BlobWriter(Protocol):
    """A blob being written.  Nothing is visible before `commit`; leaving the context without it removes the temporary file."""

    def write(self, data: bytes) -> None:
        """Append.  Raises EnvironmentFault (`no-space`, …) that names the cache."""

    def commit(self, expected: Digest | None = None) -> Digest:
        """Finish, verify against `expected` when given (VerificationError `digest-mismatch`), publish atomically.

        Returns the SHA-256 of the bytes.
        """


class SharedStore(Protocol):
    """Blobs and tables: what a store on one machine and one for several have in common.

    Keys are chosen by callers: `[A-Za-z0-9._-]`, at most 200, not beginning with a dot.  A table is a named set of rows
    (key → small value).
    """

    def writer(self) -> AbstractContextManager[BlobWriter]:
        """Begin a new blob."""

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO | None:
        """A seekable reader at offset 0 (a real file where there is one: `fileno()` works), or None when absent.

        A blob whose length is not the one recorded when it was committed (a crash cut it) counts as absent, and so does
        one of another size when `size` is given, which makes finding it cheaper.  The content is not verified: see
        `open_verified`.
        """

    def holds(self, digest: Digest, size: int) -> bool:
        """Whether there is a blob of this digest and size; cheaper than `size`."""

    def get(self, table: str, key: str) -> bytes | None:
        """The value, None when absent or when its checksum does not hold (a damaged row counts as absent)."""

    def put(self, table: str, key: str, value: bytes) -> None:
        """Publish a value atomically; the last writer wins."""

    def discard(self, digest: Digest) -> None:
        """Remove a blob that was found damaged."""


class Store(SharedStore, Protocol):
    """The cache of a machine."""

    def size(self, digest: Digest) -> int | None:
        """Byte size of a blob, None when absent."""

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold `key` against all threads and processes on this cache, waiting for the present holder.  Not re-entrant.

        The way to do work once: look, lock, look again, work, publish.
        """


class Usage(NamedTuple):
    """What a store holds."""

    blobs: int
    """Number of blobs."""
    blob_bytes: int
    tables: tuple[tuple[str, int, int], ...]
    """(name, rows, bytes), sorted by name."""
    unfinished: int
    """Temporary files, also those of running writers."""


def put_bytes(store: SharedStore, data: bytes, expected: Digest | None = None) -> Digest:
    """Store one blob that is in memory already."""
    with store.writer() as writer:
        writer.write(data)
        return writer.commit(expected)


def open_verified(store: SharedStore, digest: Digest, origin: Origin | None = None) -> BinaryIO | None:
    """`store.open`, after reading the whole blob and comparing its SHA-256 with its name; the reader stands at offset 0.

    Raises VerificationError `cache-entry-damaged` (with `origin` completed by the digest) after discarding the blob.
    Cost: one read and hash of the blob.
    """
    stream = store.open(digest)
    if stream is None:
        return None
    try:
        if _sha256_of(stream) != digest:
            raise damaged(store, digest, origin)
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return stream


def damaged(store: SharedStore, digest: Digest, origin: Origin | None = None) -> VerificationError:
    """Discard a blob that does not hash to its name, and the error that says so."""
    store.discard(digest)
    place = (origin or Origin()).filled(Origin(digest=str(digest)))
    return VerificationError(
        "a cache entry does not have the content its digest names",
        reason="cache-entry-damaged",
        origin=place,
        hint="the entry was removed: run again to make it anew; `apkiln cache clean` checks all the others",
    )


def check_key(key: str) -> str:
    """Keys become file names: refuse (AssertionError: keys are ours, not the user's) what could not be one."""
    good = key and key[0] != "." and len(key) <= _LONGEST_KEY and not key.strip(_KEY)
    assert good, f"{key!r} is not a store key"
    return key


def seal_row(table: str, key: str, value: bytes) -> bytes:
    """The stored form of a row: a checksum over table, key and value, then the value."""
    return _row_checksum(table, key, value) + value


def unseal_row(table: str, key: str, stored: bytes) -> bytes | None:
    """The value of a stored row, None when its checksum does not hold."""
    value = stored[_CHECKSUM:]
    return value if stored[:_CHECKSUM] == _row_checksum(table, key, value) else None


def _row_checksum(table: str, key: str, value: bytes) -> bytes:
    return hashlib.sha256(f"{table}\0{key}\0".encode() + value).digest()[:_CHECKSUM]


def _sha256_of(stream: BinaryIO) -> Digest:
    state = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        state.update(chunk)
    return Digest.sha256(state.digest())
