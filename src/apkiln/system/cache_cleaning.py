"""Looking after a cache directory: what is damaged, old or too much goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.progress import Reporter
from apkiln.system.clock import Clock
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.faults import faults_named
from apkiln.system.store import open_verified

_ROOMS = ("blobs", "tables", "temporary", "trees")
"""Everything that the product keeps in a cache directory but its locks."""


class Blob(NamedTuple):
    """A stored blob."""

    digest: Digest
    size: int
    used: float
    """Unix seconds of its last use."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What went."""

    damaged_blobs: tuple[Digest, ...] = ()
    damaged_rows: tuple[tuple[str, str], ...] = ()
    """(table, key)."""
    evicted: int = 0
    """Blobs removed because of age or size."""
    freed: int = 0
    """Their bytes."""
    abandoned: int = 0
    """Unfinished files of dead writers."""


def choose_evictions(blobs: Iterable[Blob], used_before: float, most: int) -> tuple[Digest, ...]:
    """Blobs last used before `used_before`, and of the rest those used longest ago until at most `most` bytes remain."""
    kept = sorted(blobs, key=lambda blob: (blob.used, blob.digest))
    old = [blob for blob in kept if blob.used < used_before]
    remaining = sum(blob.size for blob in kept[len(old) :])
    for blob in kept[len(old) :]:
        if remaining <= most:
            break
        old.append(blob)
        remaining -= blob.size
    return tuple(blob.digest for blob in old)


def clean(
    store: DirectoryStore, clock: Clock, reporter: Reporter, older_than: float = float("inf"), most: int = 1 << 62
) -> Cleaned:
    """Hash every blob and check every row, remove what is damaged; then evict by age (seconds) and size (bytes).

    Safe beside running builds: what they opened stays readable, what they miss they fetch or make again.
    """
    damaged = _damaged_blobs(store, reporter)
    rows = tuple(store.damaged_rows())
    for table, key in rows:
        store.remove_row(table, key)
    blobs = [Blob(*item) for item in store.blobs()]
    evictions = choose_evictions(blobs, clock.now() - older_than, most)
    freed = store.evict(evictions)
    return Cleaned(damaged, rows, len(evictions), freed, store.remove_abandoned())


def empty(root: Path) -> None:
    """Remove everything that is kept in the cache directory; files that do not belong to it stay."""
    for room in _ROOMS:
        directory = root / room
        if directory.is_dir() and not directory.is_symlink():
            with faults_named(directory, "remove"):
                _remove(directory)


def _remove(directory: Path) -> None:
    """Unpacked trees may hold directories without write permission."""
    for path in (directory, *directory.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(directory)


def _damaged_blobs(store: DirectoryStore, reporter: Reporter) -> tuple[Digest, ...]:
    blobs = [Blob(*item) for item in store.blobs()]
    found = []
    reporter.start("check", sum(blob.size for blob in blobs), "bytes")
    for blob in blobs:
        try:
            stream = open_verified(store, blob.digest)
            if stream is None:  # cut by a crash
                store.discard(blob.digest)
                found.append(blob.digest)
            else:
                stream.close()
        except VerificationError:
            found.append(blob.digest)
        reporter.advance("check", blob.size)
    reporter.finish("check")
    return tuple(found)
