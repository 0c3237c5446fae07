"""Where crash points are enumerated: places that can be set back to how they were, each with its own kind of writes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

from tests.crash_faults import Fuse, FusedBlobs, FusedFiles, FusedLedgers
from tests.object_servers import bucket_at, make_bucket
from tests.service_workshop import Places, places

from apkiln.system.blob_store import BlobStore
from apkiln.system.blob_store_directory import DirectoryBlobs
from apkiln.system.blob_store_object import open_bucket
from apkiln.system.clock import ManualClock
from apkiln.system.database import open_ledgers
from apkiln.system.files import DiskFiles
from apkiln.system.ledger_store import MemoryLedgers
from apkiln.system.memory_files import MemoryFiles

BLOBS = PurePosixPath("/blobs")
Fresh = Callable[[Fuse | None], Places]
"""Makes places with what was saved; their writes pass the fuse."""


class BackEnd(Protocol):
    """See the module."""

    name: str

    def empty(self) -> Places: ...

    def save(self, where: Places) -> Fresh:
        """A maker of fresh places with what is in `where` now."""

    def reopened(self, where: Places) -> Places:
        """The same places for another process, without a fuse."""


class InMemory:
    """Twins; blobs as files in memory."""

    name = "memory"

    def __init__(self) -> None:
        self._plain: dict[int, Places] = {}

    def empty(self) -> Places:
        files = MemoryFiles()
        made = places(MemoryLedgers(), DirectoryBlobs(BLOBS, files))
        self._files = files
        return made

    def save(self, where: Places) -> Fresh:
        contents, saved = self._files.snapshot(), ledger_saved(where)

        def fresh(fuse: Fuse | None) -> Places:
            files = MemoryFiles(contents)
            self._plain.clear()
            return self._fused(saved(), DirectoryBlobs(BLOBS, files), DirectoryBlobs(BLOBS, _fused(files, fuse)), fuse)

        return fresh

    def _fused(self, made: Places, plain: BlobStore, blobs: BlobStore, fuse: Fuse | None) -> Places:
        made = made._replace(blobs=plain)
        fused = made if fuse is None else made._replace(ledgers=FusedLedgers(made.ledgers, fuse), blobs=blobs)
        self._plain[id(fused.ledgers)] = made
        return fused

    def reopened(self, where: Places) -> Places:
        return self._plain[id(where.ledgers)]


def _fused(files: MemoryFiles | DiskFiles, fuse: Fuse | None) -> MemoryFiles | DiskFiles | FusedFiles:
    return files if fuse is None else FusedFiles(files, fuse)


def ledger_saved(where: Places) -> Callable[[], Places]:
    """Copies of a ledger in memory, and of the time."""
    assert isinstance(where.ledgers, MemoryLedgers)
    tables = {name: list(rows) for name, rows in where.ledgers.tables.items()}
    claims, now, blobs = dict(where.ledgers.claims), where.clock.now(), where.blobs

    def fresh() -> Places:
        ledgers = MemoryLedgers()
        ledgers.tables = {name: list(rows) for name, rows in tables.items()}
        ledgers.claims = dict(claims)
        return Places(ledgers, blobs, ManualClock(now))

    return fresh


class OnDisk:
    """SQLite and a directory."""

    name = "SQLite and directory"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = 0

    def _open(self, directory: Path, clock: ManualClock, fuse: Fuse | None = None) -> Places:
        ledgers, files = open_ledgers(f"sqlite:///{directory}/ledger.db"), DiskFiles(durable=False)
        if fuse is None:
            return Places(ledgers, DirectoryBlobs(directory / "blobs", files), clock)
        return Places(FusedLedgers(ledgers, fuse), DirectoryBlobs(directory / "blobs", FusedFiles(files, fuse)), clock)

    def _next(self) -> Path:
        self._number += 1
        return self._root / str(self._number)

    def empty(self) -> Places:
        directory = self._next()
        directory.mkdir()
        return self._open(directory, ManualClock())

    def save(self, where: Places) -> Fresh:
        source, now = self._root / str(self._number), where.clock.now()
        close(where)
        saved = self._root / f"saved-{self._number}"
        source.rename(saved)

        def fresh(fuse: Fuse | None) -> Places:
            shutil.rmtree(self._root / str(self._number), ignore_errors=True)
            directory = self._next()
            shutil.copytree(saved, directory)
            return self._open(directory, ManualClock(now), fuse)

        return fresh

    def reopened(self, where: Places) -> Places:
        close(where)
        return self._open(self._root / str(self._number), where.clock)


class InBucket(InMemory):
    """A ledger in memory, blobs in the bucket of an S3 server: the other kind of blob store."""

    name = "S3"

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._number = 0
        self._endpoint = endpoint
        self._bucket = make_bucket(endpoint, f"crash{time.monotonic_ns()}").name

    def _next(self) -> BlobStore:
        self._number += 1
        return open_bucket(bucket_at(self._endpoint, self._bucket, f"p{self._number}"))

    def empty(self) -> Places:
        return places(MemoryLedgers(), self._next())

    def save(self, where: Places) -> Fresh:
        saved = ledger_saved(where)
        contents = [(entry.digest, b"".join(where.blobs.read(entry.digest) or ())) for entry in where.blobs.list()]

        def fresh(fuse: Fuse | None) -> Places:
            blobs = self._next()
            for digest, data in contents:
                blobs.put(digest, [data])
            self._plain.clear()
            return self._fused(saved(), blobs, blobs if fuse is None else FusedBlobs(blobs, fuse), fuse)

        return fresh


def close(where: Places) -> None:
    """Connections to a database."""
    inner = getattr(where.ledgers, "inner", where.ledgers)
    if hasattr(inner, "close"):
        inner.close()
