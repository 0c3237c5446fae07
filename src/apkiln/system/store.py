"""The content-addressed cache: blobs by SHA-256 and small tables, safe for concurrent threads and processes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from apkiln.core.digest import Digest


class BlobWriter(Protocol):
    """A blob being written.  Nothing is visible before `commit`; leaving the context without it removes the temporary file."""

    def write(self, data: bytes) -> None: ...

    def commit(self, expected: Digest | None = None) -> Digest:
        """Finish, verify against `expected` when given (VerificationError `digest-mismatch`), publish atomically; the SHA-256 of the bytes."""


class Store(Protocol):
    """Blobs and tables.  Keys are chosen by callers and contain only `[A-Za-z0-9._-]`; tables are named directories of small values."""

    def writer(self) -> AbstractContextManager[BlobWriter]:
        """Begin a new blob."""

    def open(self, digest: Digest) -> BinaryIO | None:
        """A seekable reader at offset 0 (a real file where there is one: `fileno()` works), or None when absent.  Not verified: see `verified`."""

    def size(self, digest: Digest) -> int | None:
        """Byte size of a blob, None when absent."""

    def get(self, table: str, key: str) -> bytes | None:
        """The value, None when absent or when its checksum does not hold (a damaged row counts as absent)."""

    def put(self, table: str, key: str, value: bytes) -> None:
        """Publish a value atomically; the last writer wins."""

    def discard(self, digest: Digest) -> None:
        """Remove a blob that was found damaged."""
