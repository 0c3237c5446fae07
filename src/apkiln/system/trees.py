"""Unpacked directory trees kept by key: filled once, whole or not at all, then only read."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import Entry
from apkiln.system.clock import Clock, SystemClock
from apkiln.system.faults import faults_named
from apkiln.system.lock import file_lock, hold, is_locked
from apkiln.system.tree_writer import DirectoryTreeWriter, Recorded

_BUILDING = ".building-"
_TOUCH_AFTER = 3600
"""Seconds: the time of a tree's last use is not written more often than that."""


class KeptTree(NamedTuple):
    """A finished tree."""

    key: str
    used: float
    """Unix seconds of its last use, to the hour."""
    size: int
    """Bytes of files that no earlier one of the same listing has (hard links)."""


class TreeWriter(Protocol):
    """A tree being filled.  All methods raise FormatError `path-through-symlink` or `path-below-file` for a path whose
    parents are no directories of the tree, and EnvironmentFault for what the machine refuses."""

    def add(self, entry: Entry, content: Iterable[bytes]) -> None:
        """Create what `entry` says; what is there already gives way, but a directory keeps what is in it.

        Missing parents are made with mode 0755.  A hard link whose target is no file of the tree: FormatError
        `hard-link-target`.  Device nodes and fifos are only counted.
        """

    def remove(self, path: str) -> None:
        """Remove a path and everything below; no error when it is not there."""

    def clear(self, path: str) -> None:
        """Remove everything below a directory ("" = the root)."""


class Trees(Protocol):
    """Trees by key (`[A-Za-z0-9._-]`)."""

    def find(self, key: str) -> str | None:
        """Absolute path of the finished tree; None when there is none."""

    def build(self, key: str) -> AbstractContextManager[TreeWriter]:
        """Fill a tree; it exists under its key when the context ends without an error, and otherwise never."""

    def joined(self, keys: Sequence[str]) -> str:
        """Path of a tree that shows what finished trees show when laid over each other, the first uppermost; its files are
        theirs (hard links), so nothing may ever be written to it.  Made once."""

    def read(self, key: str, path: str, limit: int) -> bytes | None:
        """Content of a file of a finished tree, no symlink followed; None when there is none of at most `limit` bytes."""


class DirectoryTrees:
    """Trees below one private directory of the disk."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root
        self._clock = clock or SystemClock()

    def find(self, key: str) -> str | None:
        tree = f"{self._root}/{key}/root"
        if not os.path.isdir(tree):
            return None
        self._touch(f"{self._root}/{key}/recorded.json")
        return tree

    @contextmanager
    def build(self, key: str) -> Iterator[DirectoryTreeWriter]:
        with self._filling(key) as temporary:
            writer = DirectoryTreeWriter(temporary / "root")
            try:
                yield writer
                records = writer.finish()
            finally:
                writer.close()
            self._publish(records, temporary, key)

    @contextmanager
    def _filling(self, key: str) -> Iterator[Path]:
        """A new directory with an empty `root`, to be published; nobody else makes the same tree meanwhile."""
        with faults_named(self._root, "create"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(self._root / f".{key}.lock", remove=True):
            self._remove_abandoned()
            temporary = self._root / f"{_BUILDING}{secrets.token_hex(8)}"
            with _held_directory(temporary):
                with faults_named(temporary, "create"):
                    (temporary / "root").mkdir(mode=0o755)
                    (temporary / "root").chmod(0o755)
                yield temporary

    def joined(self, keys: Sequence[str]) -> str:
        key = "joined-" + hashlib.sha256(json.dumps(keys).encode()).hexdigest()
        if self.find(key) is None:
            roots = [self._root / part / "root" for part in keys]
            with self._filling(key) as temporary, faults_named(temporary, "link"):
                _join(roots, temporary / "root")
                self._publish([], temporary, key)
        return str(self._root / key / "root")

    def read(self, key: str, path: str, limit: int) -> bytes | None:
        root = self.find(key)
        if root is None:
            return None
        writer = DirectoryTreeWriter(Path(root))
        try:
            return writer.content(path, limit)
        finally:
            writer.close()

    def unused(self, used_before: float) -> tuple[KeptTree, ...]:
        """Finished trees last found before that time (Unix seconds), those unused for longest first; a walk over each."""
        found = [KeptTree(path.parent.name, path.stat().st_mtime, 0) for path in self._root.glob("*/recorded.json")]
        old = sorted((tree for tree in found if tree.used < used_before), key=lambda tree: (tree.used, tree.key))
        seen: set[int] = set()
        return tuple(tree._replace(size=bytes_below(self._root / tree.key, seen)) for tree in old)

    def remove(self, key: str) -> None:
        """Forget a finished tree.  Processes that show it lose its files, so nobody may have found it lately."""
        gone = self._root / f"{_BUILDING}{secrets.token_hex(8)}"
        with faults_named(self._root / key, "remove"), suppress(FileNotFoundError):
            (self._root / key).rename(gone)
            _remove_tree(gone)

    def remove_abandoned(self) -> int:
        """Remove what dead writers left; how many."""
        return self._remove_abandoned()

    def _touch(self, record: str) -> None:
        """Remember that the tree is used, to the hour."""
        with suppress(OSError):  # a read-only cache is still a cache
            if self._clock.now() - os.stat(record).st_mtime > _TOUCH_AFTER:
                os.utime(record, (self._clock.now(), self._clock.now()))

    def _publish(self, records: list[Recorded], temporary: Path, key: str) -> None:
        with faults_named(temporary, "write"):
            (temporary / "recorded.json").write_text(json.dumps(records))
            if not (self._root / key).exists():
                temporary.rename(self._root / key)

    def _remove_abandoned(self) -> int:
        """What writers left behind that are gone: a living one holds its directory."""
        abandoned = [path for path in self._root.glob(f"{_BUILDING}*") if not is_locked(path)]
        for path in abandoned:
            _remove_tree(path)
        return len(abandoned)


@contextmanager
def _held_directory(path: Path) -> Iterator[None]:
    """A new directory with the sign that its writer lives; removed at the end unless it has moved."""
    with faults_named(path, "create"):
        path.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        hold(descriptor)
        yield
    finally:
        _remove_tree(path)
        os.close(descriptor)


def _join(roots: Sequence[Path], target: Path) -> None:
    """Fill `target` with what the first of `roots` has at each path; directories are merged."""
    seen: dict[str, list[Path]] = {}
    for root in roots:
        with os.scandir(root) as found:
            for entry in found:
                seen.setdefault(entry.name, []).append(Path(entry.path))
    for name, places in seen.items():
        first = places[0]
        if first.is_symlink() or not first.is_dir():
            os.link(first, target / name, follow_symlinks=False)
            continue
        below = []
        for place in places:
            if place.is_symlink() or not place.is_dir():
                break
            below.append(place)
        (target / name).mkdir(mode=0o700)
        _join(below, target / name)
        _copy_directory_status(first, target / name)


def _copy_directory_status(source: Path, target: Path) -> None:
    status = source.stat()
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    shutil.copystat(source, target)


def bytes_below(directory: Path, seen: set[int] | None = None) -> int:
    """Bytes of all files below a directory, each inode once; `seen`: inodes that do not count, which grow."""
    total, seen = 0, set() if seen is None else seen
    for place, _directories, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                status = os.lstat(os.path.join(place, name))
                total += 0 if status.st_ino in seen else status.st_size
                seen.add(status.st_ino)
    return total


def _remove_tree(path: Path) -> None:
    """Also when directories in it are not writable."""
    if not path.exists():
        return
    for directory, _names, _files in os.walk(path):
        with suppress(OSError):
            os.chmod(directory, 0o700)
    shutil.rmtree(path)
