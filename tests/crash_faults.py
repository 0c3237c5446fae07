"""Stores that count their writes, and fail at a chosen one (spec repository.md §12.2, §12.3)."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePath
from typing import BinaryIO, NamedTuple, cast

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.system.blob_store import BlobEntry, BlobStore
from apkiln.system.faults import fault_of
from apkiln.system.files import Files, FileStatus, OutputTree
from apkiln.system.ledger_store import Claim, LedgerStore, StoredRow
from apkiln.system.memory_files import Crash


class Fault(NamedTuple):
    """What happens at the chosen write."""

    name: str
    after: bool
    """The write happened."""
    error: Callable[[], BaseException]

    @property
    def deadly(self) -> bool:
        return isinstance(self.error(), Crash)


def _lost() -> ApkilnError:
    return UnavailableError("the answer got lost", reason="store-unavailable", retriable=True)


FAULTS = (
    Fault("dies before", False, Crash),
    Fault("dies after", True, Crash),
    Fault("input/output error", False, lambda: fault_of(OSError(errno.EIO, "I/O error"), "disk", "write")),
    Fault("no space", False, lambda: fault_of(OSError(errno.ENOSPC, "no space"), "disk", "write")),
    Fault("lost acknowledgement", True, _lost),
)


class Fuse:
    """Counts writes and blows at one of them.  Once dead, no write happens any more."""

    def __init__(self, at: int = -1, fault: Fault = FAULTS[0]) -> None:
        self.count = 0
        self.dead = False
        self._at = at
        self._fault = fault

    def before(self) -> bool:
        """A write is about to happen; whether its answer is to be lost."""
        if self.dead:
            raise Crash
        number, self.count = self.count, self.count + 1
        if number != self._at:
            return False
        if self._fault.after:
            return True
        self.blow()
        return False

    @contextmanager
    def write(self) -> Iterator[None]:
        """Around one write."""
        lost = self.before()
        yield
        if lost:
            self.blow()

    def blow(self) -> None:
        error = self._fault.error()
        self.dead = isinstance(error, Crash)
        raise error


class FusedLedgers:
    """A `LedgerStore` with a fuse."""

    def __init__(self, inner: LedgerStore, fuse: Fuse) -> None:
        self.inner = inner
        self._fuse = fuse

    def repositories(self) -> tuple[str, ...]:
        return self.inner.repositories()

    def rows(self, repository: str, after: int = 0) -> Iterator[StoredRow]:
        return self.inner.rows(repository, after)

    def append(self, repository: str, rows: Sequence[StoredRow], claims: Sequence[Claim] = ()) -> bool:
        with self._fuse.write():
            return self.inner.append(repository, rows, claims)


class FusedBlobs:
    """A `BlobStore` with a fuse, whose writes are whole: an object appears or does not."""

    def __init__(self, inner: BlobStore, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def put(self, digest: Digest, chunks: Iterable[bytes]) -> int:
        with self._fuse.write():
            return self._inner.put(digest, chunks)

    def read(self, digest: Digest, offset: int = 0, length: int | None = None) -> Iterator[bytes] | None:
        return self._inner.read(digest, offset, length)

    def size(self, digest: Digest) -> int | None:
        return self._inner.size(digest)

    def list(self) -> Iterator[BlobEntry]:
        return self._inner.list()

    def remove(self, digest: Digest) -> None:
        with self._fuse.write():
            self._inner.remove(digest)


class FusedFiles:
    """`Files` with a fuse: beginning a file, each write to it, its name, a directory, a removal."""

    def __init__(self, inner: Files, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def read(self, path: PurePath, limit: int) -> bytes:
        return self._inner.read(path, limit)

    def open(self, path: PurePath) -> BinaryIO:
        return self._inner.open(path)

    def status(self, path: PurePath) -> FileStatus | None:
        return self._inner.status(path)

    def list(self, path: PurePath) -> tuple[str, ...]:
        return self._inner.list(path)

    @contextmanager
    def create(self, path: PurePath, mode: int = 0o644, *, replace: bool = False) -> Iterator[BinaryIO]:
        with self._fuse.write():
            pass  # the temporary file
        with self._inner.create(path, mode, replace=replace) as stream:
            yield cast(BinaryIO, _FusedStream(stream, self._fuse))
            lost = self._fuse.before()
        if lost:
            self._fuse.blow()

    def produced(self, path: PurePath, *, replace: bool = False) -> AbstractContextManager[PurePath]:
        return self._inner.produced(path, replace=replace)  # not used by blob stores

    def tree(self, path: PurePath, *, replace_empty: bool = False, replace: bool = False) -> AbstractContextManager[OutputTree]:
        return self._inner.tree(path, replace_empty=replace_empty, replace=replace)  # not used by blob stores

    def make_directory(self, path: PurePath, mode: int = 0o755) -> None:
        with self._fuse.write():
            self._inner.make_directory(path, mode)

    def remove(self, path: PurePath) -> None:
        with self._fuse.write():
            self._inner.remove(path)

    @contextmanager
    def lock(self, path: PurePath) -> Iterator[None]:
        with self._inner.lock(path):
            yield


class _FusedStream(io.RawIOBase):
    """Half of a write that fails is on the disk."""

    def __init__(self, stream: BinaryIO, fuse: Fuse) -> None:
        super().__init__()
        self._stream = stream
        self._fuse = fuse

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._stream.write(data[: len(data) // 2])
        with self._fuse.write():
            self._stream.write(data[len(data) // 2 :])
        return len(data)
