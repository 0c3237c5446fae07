"""The store in memory: the twin of the one in a directory, for tests and for work that must leave nothing behind."""

from __future__ import annotations

import errno
import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.system.faults import fault_of
from apkiln.system.store import check_key, seal_row, unseal_row


class MemoryStore:
    """See `Store`; holds for threads of one process.  `capacity` bytes of blobs and rows, then EnvironmentFault `no-space`."""

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._blobs: dict[Digest, bytes] = {}
        self._rows: dict[tuple[str, str], bytes] = {}
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    @contextmanager
    def writer(self) -> Iterator[MemoryBlobWriter]:
        yield MemoryBlobWriter(self)

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO | None:
        data = self._blobs.get(digest)
        return None if data is None or size not in (None, len(data)) else io.BytesIO(data)

    def holds(self, digest: Digest, size: int) -> bool:
        return self.size(digest) == size

    def size(self, digest: Digest) -> int | None:
        data = self._blobs.get(digest)
        return None if data is None else len(data)

    def get(self, table: str, key: str) -> bytes | None:
        stored = self._rows.get((check_key(table), check_key(key)))
        return None if stored is None else unseal_row(table, key, stored)

    def put(self, table: str, key: str, value: bytes) -> None:
        self.reserve(len(value))
        self._rows[check_key(table), check_key(key)] = seal_row(table, key, value)

    def discard(self, digest: Digest) -> None:
        self._blobs.pop(digest, None)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(check_key(key), threading.Lock())
        with lock:
            yield

    def blobs(self) -> tuple[Digest, ...]:
        """Every blob, in digest order."""
        return tuple(sorted(self._blobs))

    def rows(self) -> tuple[tuple[str, str], ...]:
        """(table, key) of every row, sorted."""
        return tuple(sorted(self._rows))

    def damage(self, digest: Digest, offset: int = 0) -> None:
        """Flip every bit of one byte of a blob, for tests of those who must notice."""
        data = bytearray(self._blobs[digest])
        data[offset] ^= 0xFF
        self._blobs[digest] = bytes(data)

    def damage_row(self, table: str, key: str) -> None:
        """Flip the last byte of a row."""
        stored = bytearray(self._rows[table, key])
        stored[-1] ^= 0xFF
        self._rows[table, key] = bytes(stored)

    def publish(self, digest: Digest, data: bytes) -> None:
        """Used by the writer."""
        self._blobs[digest] = data

    def reserve(self, amount: int) -> None:
        """Refuse `amount` more bytes when the capacity does not allow them."""
        used = sum(map(len, self._blobs.values())) + sum(map(len, self._rows.values()))
        if self._capacity is not None and used + amount > self._capacity:
            raise fault_of(OSError(errno.ENOSPC, "No space left on device"), "the cache in memory", "write")


class MemoryBlobWriter:
    """See `BlobWriter`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._buffer = io.BytesIO()

    def write(self, data: bytes) -> None:
        self._store.reserve(self._buffer.tell() + len(data))
        self._buffer.write(data)

    def commit(self, expected: Digest | None = None) -> Digest:
        data = self._buffer.getvalue()
        digest = Digest.sha256(hashlib.sha256(data).digest())
        if expected is not None and expected != digest:
            raise VerificationError(
                f"expected {expected}, the content is {digest}", reason="digest-mismatch", origin=Origin(digest=str(expected))
            )
        self._store.publish(digest, data)
        return digest
