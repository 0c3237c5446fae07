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

from apkiln.formats.archive.entry import Entry
from apkiln.system.faults import faults_named
from apkiln.system.lock import file_lock, hold, is_locked
from apkiln.system.tree_writer import DirectoryTreeWriter, Recorded

_BUILDING = ".building-"


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

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, key: str) -> str | None:
        tree = self._root / key / "root"
        return str(tree) if tree.is_dir() else None

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

    def _publish(self, records: list[Recorded], temporary: Path, key: str) -> None:
        with faults_named(temporary, "write"):
            (temporary / "recorded.json").write_text(json.dumps(records))
            if not (self._root / key).exists():
                temporary.rename(self._root / key)

    def _remove_abandoned(self) -> None:
        """What writers left behind that are gone: a living one holds its directory."""
        for path in self._root.glob(f"{_BUILDING}*"):
            if not is_locked(path):
                _remove_tree(path)


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


def _remove_tree(path: Path) -> None:
    """Also when directories in it are not writable."""
    if not path.exists():
        return
    for directory, _names, _files in os.walk(path):
        with suppress(OSError):
            os.chmod(directory, 0o700)
    shutil.rmtree(path)
