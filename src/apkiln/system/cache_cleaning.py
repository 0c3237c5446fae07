"""Looking after a cache directory: what is damaged, old or too much goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.progress import Reporter
from apkiln.system.clock import Clock
from apkiln.system.directory_store import DirectoryStore
from apkiln.system.faults import faults_named
from apkiln.system.store import open_verified
from apkiln.system.trees import DirectoryTrees, KeptTree

_ROOMS = ("blobs", "tables", "temporary", "trees", "builds", "sources", "git")
"""Everything that the product keeps in a cache directory but its locks."""
_IN_USE = 86_400
"""Seconds: a tree that was found more recently may be under a running build."""


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
    """Unfinished files, trees and workspaces of dead writers."""
    trees: int = 0
    """Unpacked trees removed because of age or size; their bytes are in `freed`."""


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
    store: DirectoryStore,
    clock: Clock,
    reporter: Reporter,
    older_than: float = float("inf"),
    most: int = 1 << 62,
    trees: DirectoryTrees | None = None,
) -> Cleaned:
    """Hash every blob and check every row, remove what is damaged; then evict by age (seconds) and size (bytes).

    Trees go first when there is too much: they are made of blobs.  Those of the last day stay, as builds may stand on them.
    Safe beside running builds: what they opened stays readable, what they miss they fetch or make again.
    """
    damaged = _damaged_blobs(store, reporter)
    rows = tuple(store.damaged_rows())
    for table, key in rows:
        store.remove_row(table, key)
    blobs = [Blob(*item) for item in store.blobs()]
    gone, kept = _clean_trees(trees, clock.now(), older_than, most - sum(blob.size for blob in blobs)) if trees else ((), 0)
    evictions = choose_evictions(blobs, clock.now() - older_than, most - kept)
    freed = store.evict(evictions) + sum(tree.size for tree in gone)
    abandoned = store.remove_abandoned() + (trees.remove_abandoned() if trees else 0)
    return Cleaned(damaged, rows, len(evictions), freed, abandoned, len(gone))


def _clean_trees(trees: DirectoryTrees, now: float, older_than: float, room: int) -> tuple[tuple[KeptTree, ...], int]:
    """Remove what is old, and of the rest those used longest ago until `room` bytes remain; what went, and what is left."""
    everything = trees.unused(float("inf"))
    total, gone = sum(tree.size for tree in everything), []
    for tree in everything:
        if tree.used > now - _IN_USE or (tree.used >= now - older_than and total <= room):
            break
        trees.remove(tree.key)
        gone.append(tree)
        total -= tree.size
    return tuple(gone), total


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
