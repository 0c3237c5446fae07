"""Safe extraction of foreign archives into a directory (spec apk.md §12.3 "structure").

Every step goes through descriptors of directories below the tree's own root; no symlink is ever followed, so nothing outside
can be reached whatever the archive says.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.system.faults import faults_named

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Recorded(NamedTuple):
    """What the disk does not show of a tree that was written without root's rights."""

    path: str
    mode: int
    uid: int
    gid: int


class DirectoryTreeWriter:
    """See `TreeWriter`.  As root ids are real; otherwise they are recorded, and files belong to the caller."""

    def __init__(self, root: Path) -> None:
        with faults_named(root, "open"):
            self._root = os.open(root, _OPEN_DIRECTORY)
        self._as_root = os.geteuid() == 0
        self._open = ("", self._root)
        self._directories: dict[str, Entry] = {}
        self._records: list[Recorded] = []
        self.skipped = 0
        """Device nodes and fifos left out."""

    def add(self, entry: Entry, content: Iterable[bytes]) -> None:
        with faults_named(entry.path, "unpack"):
            parent, name = self._parent(entry.path, make=True)
            if entry.type is EntryType.DIRECTORY:
                self._add_directory(parent, name, entry)
                return
            self._displace(parent, name, entry.path)
            if entry.type is EntryType.FILE:
                self._add_file(parent, name, entry, content)
            elif entry.type is EntryType.SYMLINK:
                os.symlink(entry.target, name, dir_fd=parent)
                self._own(entry, parent, name)
                os.utime(name, (entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)
            elif entry.type is EntryType.HARDLINK:
                self._add_link(parent, name, entry)
            else:
                self.skipped += 1

    def remove(self, path: str) -> None:
        with faults_named(path, "remove"):
            try:
                parent, name = self._parent(path, make=False)
            except FileNotFoundError:
                return
            self._displace(parent, name, path)

    def clear(self, path: str) -> None:
        with faults_named(path or "/", "clear"):
            try:
                directory = self._directory(path, make=False)
            except FileNotFoundError:
                return
            for name in os.listdir(directory):
                self._displace(directory, name, paths.join(path, name))

    def finish(self) -> list[Recorded]:
        """Give directories their modes and times, deepest first; what the disk does not show."""
        with faults_named("/", "finish"):
            for path in sorted(self._directories, key=lambda path: -path.count("/")):
                self._finish_directory(path, self._directories[path])
        return self._records

    def close(self) -> None:
        """Let go of the tree."""
        if self._open[1] != self._root:
            os.close(self._open[1])
        os.close(self._root)

    def content(self, path: str, limit: int) -> bytes | None:
        """Content of a file; None when there is none or it is larger than `limit`."""
        try:
            parent, name = self._parent(path, make=False)
            status = os.lstat(name, dir_fd=parent)
            if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                return None
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except (OSError, FormatError):
            return None
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(limit)

    def link(self, path: str) -> str | None:
        """Text of a symlink; None when the path is none."""
        try:
            parent, name = self._parent(path, make=False)
            return os.readlink(name, dir_fd=parent)
        except (OSError, FormatError):
            return None

    def _parent(self, path: str, *, make: bool) -> tuple[int, str]:
        directory, _slash, name = paths.check(path).rpartition("/")
        return self._directory(directory, make=make), name

    def _directory(self, path: str, *, make: bool) -> int:
        """A descriptor of the directory, valid until the next call."""
        if self._open[0] == path:
            return self._open[1]
        current = os.dup(self._root)
        for depth, name in enumerate(path.split("/") if path else (), 1):
            try:
                below = self._step(current, name, "/".join(path.split("/")[:depth]), make)
            finally:
                os.close(current)
            current = below
        if self._open[1] != self._root:
            os.close(self._open[1])
        self._open = (path, current)
        return current

    def _step(self, current: int, name: str, path: str, make: bool) -> int:
        try:
            return os.open(name, _OPEN_DIRECTORY, dir_fd=current)
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(name, 0o755, dir_fd=current)
            return os.open(name, _OPEN_DIRECTORY, dir_fd=current)
        except OSError as error:
            kind = os.lstat(name, dir_fd=current).st_mode
            reason = "path-through-symlink" if stat.S_ISLNK(kind) else "path-below-file"
            if stat.S_ISDIR(kind):
                raise
            message = "a path leads through something that is no directory"
            raise FormatError(message, reason=reason, origin=Origin(member=path)) from error

    def _displace(self, parent: int, name: str, path: str) -> None:
        """Remove what is at `name`, a directory with everything in it."""
        try:
            kind = os.lstat(name, dir_fd=parent).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(kind):
            self._forget(path)
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)

    def _forget(self, path: str) -> None:
        for known in [known for known in self._directories if known == path or known.startswith(path + "/")]:
            del self._directories[known]
        if self._open[0] == path or self._open[0].startswith(path + "/"):
            os.close(self._open[1])
            self._open = ("", self._root)

    def _add_directory(self, parent: int, name: str, entry: Entry) -> None:
        try:
            kind = os.lstat(name, dir_fd=parent).st_mode
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=parent)
        else:
            if not stat.S_ISDIR(kind):
                os.unlink(name, dir_fd=parent)
                os.mkdir(name, 0o700, dir_fd=parent)
        self._directories[entry.path] = entry

    def _add_file(self, parent: int, name: str, entry: Entry, content: Iterable[bytes]) -> None:
        descriptor = os.open(name, _OPEN_FILE, 0o600, dir_fd=parent)
        with os.fdopen(descriptor, "wb", buffering=0) as stream:
            for chunk in content:
                view = memoryview(chunk)
                while view:
                    view = view[stream.write(view) :]
            self._own(entry, parent, name)
            os.fchmod(descriptor, entry.mode)
            self._attribute(descriptor, entry)
            os.utime(descriptor, (entry.mtime, entry.mtime))

    def _add_link(self, parent: int, name: str, entry: Entry) -> None:
        kept = os.dup(parent)
        try:
            try:
                source, target = self._parent(entry.target, make=False)
                kind = os.lstat(target, dir_fd=source).st_mode
            except FileNotFoundError:
                kind = 0
            if not stat.S_ISREG(kind):
                message = f"the hard link target `{entry.target}` is no file"
                raise FormatError(message, reason="hard-link-target", origin=Origin(member=entry.path))
            os.link(target, name, src_dir_fd=source, dst_dir_fd=kept, follow_symlinks=False)
        finally:
            os.close(kept)

    def _finish_directory(self, path: str, entry: Entry) -> None:
        directory = self._directory(path, make=False)
        if self._as_root:
            os.fchown(directory, entry.uid, entry.gid)
        else:
            self._records.append(Recorded(path, entry.mode, entry.uid, entry.gid))
        # Without root's rights a directory its owner may not write could never be removed from the cache.
        os.fchmod(directory, entry.mode if self._as_root else entry.mode | 0o700)
        self._attribute(directory, entry)
        os.utime(directory, (entry.mtime, entry.mtime))

    def _own(self, entry: Entry, parent: int, name: str) -> None:
        if self._as_root:
            os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        elif (entry.uid, entry.gid) != (0, 0):
            self._records.append(Recorded(entry.path, entry.mode, entry.uid, entry.gid))

    def _attribute(self, descriptor: int, entry: Entry) -> None:
        for name, value in entry.xattrs:
            # Others need rights that a build has no business to have, or a file system that knows them.
            if name.startswith("user."):
                with suppress(OSError):
                    os.setxattr(descriptor, name, value)
