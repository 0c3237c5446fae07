"""Write-once blobs named by their SHA-256 (spec repository.md §3.3): the Protocol, and the twin in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin

CHUNK = 1 << 20


class BlobEntry(NamedTuple):
    """What a listing says of one blob."""

    digest: Digest
    size: int


class BlobStore(Protocol):
    """Blobs.  All methods may be called from several threads; a call that failed may be repeated.

    EnvironmentFault and UnavailableError as the place gives them (`no-space`, `input-output-error`, `store-unavailable`).
    """

    def put(self, digest: Digest, chunks: Iterable[bytes]) -> int:
        """Keep a content for good; its size.  Nothing is kept unless all of it has that digest (VerificationError
        `digest-mismatch`).  A blob that is there stays as it is, and its chunks may be left unread."""

    def read(self, digest: Digest, offset: int = 0, length: int | None = None) -> Iterator[bytes] | None:
        """A part of a blob in chunks of at most 1 MiB; None when it is not there."""

    def size(self, digest: Digest) -> int | None:
        """Bytes; None when it is not there."""

    def list(self) -> Iterator[BlobEntry]:
        """Every blob, in digest order."""

    def remove(self, digest: Digest) -> None:
        """No error when it is gone."""


def checked(digest: Digest, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks; VerificationError `digest-mismatch` after the last one when they are not that blob."""
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(chunk)
        yield chunk
    if state.digest() != digest.value:
        raise VerificationError(
            f"expected {digest}, the content is sha256:{state.hexdigest()}",
            reason="digest-mismatch",
            origin=Origin(digest=str(digest)),
        )


def pieces(data: bytes) -> Iterator[bytes]:
    """Bytes in memory in chunks."""
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


class MemoryBlobs:
    """See `BlobStore`."""

    def __init__(self) -> None:
        self.contents: dict[Digest, bytes] = {}

    def put(self, digest: Digest, chunks: Iterable[bytes]) -> int:
        if digest not in self.contents:
            data = b"".join(checked(digest, chunks))
            self.contents.setdefault(digest, data)
        return len(self.contents[digest])

    def read(self, digest: Digest, offset: int = 0, length: int | None = None) -> Iterator[bytes] | None:
        data = self.contents.get(digest)
        if data is None:
            return None
        return pieces(data[offset : None if length is None else offset + length])

    def size(self, digest: Digest) -> int | None:
        data = self.contents.get(digest)
        return None if data is None else len(data)

    def list(self) -> Iterator[BlobEntry]:
        for digest in sorted(self.contents):
            yield BlobEntry(digest, len(self.contents[digest]))

    def remove(self, digest: Digest) -> None:
        self.contents.pop(digest, None)
