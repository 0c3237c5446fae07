"""The directories a build writes to: the workspace shown inside, and what it changes of its root and of the cache.

Steps may leave files of any owner and mode.  Before the caller reads them, `settle` learns what they are; where the caller is
not root they are then taken over inside the user namespace they belong to, so that everything can be read and removed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Protocol

from apkiln.core.errors import ConfigurationError, FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.system.faults import faults_named
from apkiln.system.lock import claim, is_locked
from apkiln.system.tree_reader import read_entries, read_tree
from apkiln.system.tree_writer import DirectoryTreeWriter

_PREFIX = "build-"
_CAPABILITY = "security.capability"
_CHUNK = 1 << 18
_HOME = "/home/build"
_LINKS = 8
"""Symlinks that are followed to one file."""

ChangeOwners = Callable[[Sequence[str]], bytes]
"""Runs `owner_script` with these words inside the namespace that the files belong to, and gives back what it printed."""
Excluded = Callable[[str, bool], bool]
"""Whether a relative path, that of a directory or not, stays out of the workspace."""


class _Kept(NamedTuple):
    """A path as the build left it."""

    mode: int
    uid: int
    gid: int
    xattrs: tuple[tuple[str, bytes], ...]


class Workspace(Protocol):
    """One build's directories."""

    @property
    def home(self) -> str:
        """What steps see as `/home/build`."""

    def kept(self, name: str) -> str:
        """A directory for the changes to something that is shown inside."""

    def write(self, path: str, content: bytes) -> None:
        """A file of the workspace."""

    def populate(self, source: PurePath, excluded: Excluded) -> tuple[str, ...]:
        """Copy a directory into the workspace, with links and modes; remarks on what was left out.

        ConfigurationError `bad-source-file` for devices, sockets and FIFOs."""

    def give(self, user: int, group: int) -> None:
        """Everything there belongs to these ids of the sandbox."""

    def make_output(self, name: str) -> None:
        """The empty output directory of a package, no error when it is there."""

    def settle(self) -> None:
        """Every process is gone: learn what the outputs are."""

    def output(self, name: str) -> tuple[Entry, ...]:
        """The paths in a package's output directory, after `settle`.  FormatError `output-not-a-directory`."""

    def content(self, name: str, path: str) -> Iterator[bytes]:
        """Content of a FILE of `output`."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Content of a file of the workspace, links followed as long as they stay inside; None when there is none of at most
        `limit` bytes."""

    def remove(self) -> None:
        """Remove all of it."""


class DirectoryWorkspace:
    """Below a directory of the disk.  `change_owners`: None = the caller is root and may read and remove everything.
    `forget`: called with what `kept("root")` gave before the files are looked at: no process may be left."""

    def __init__(self, root: Path, change_owners: ChangeOwners | None, forget: Callable[[str], None] | None = None) -> None:
        self._forget = forget or (lambda _: None)
        self._root = root
        self._change_owners = change_owners
        self._kept: dict[str, _Kept] = {}
        self._descriptor = -1

    @classmethod
    def create(
        cls, parent: Path, change_owners: ChangeOwners | None, forget: Callable[[str], None] | None = None
    ) -> DirectoryWorkspace:
        """A new one below `parent`, with a sign that its user lives; what dead ones left there is removed."""
        with faults_named(parent, "create"):
            parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        cls.remove_abandoned(parent, change_owners)
        while True:
            root = parent / f"{_PREFIX}{secrets.token_hex(8)}"
            made = cls(root, change_owners, forget)
            with faults_named(root, "create"), suppress(FileNotFoundError):
                root.mkdir(mode=0o755)
                made._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                if claim(made._descriptor, root):
                    break
                os.close(made._descriptor)
        with faults_named(root, "create"):
            for name in ("", "home", "home/melange-out"):
                (root / name).mkdir(mode=0o755, exist_ok=True)
                (root / name).chmod(0o755)
        return made

    @classmethod
    def remove_abandoned(cls, parent: Path, change_owners: ChangeOwners | None) -> int:
        """Remove the workspaces of dead builds below `parent`; how many."""
        abandoned = [path for path in parent.glob(f"{_PREFIX}*") if not is_locked(path)]
        for path in abandoned:
            cls(path, change_owners).remove()
        return len(abandoned)

    @property
    def home(self) -> str:
        return str(self._root / "home")

    def kept(self, name: str) -> str:
        directory = self._root / name
        if not directory.exists():
            directory.mkdir(mode=0o755)
            directory.chmod(0o755)
        return str(directory)

    def write(self, path: str, content: bytes) -> None:
        target = self._root / "home" / paths.check(path)
        with faults_named(target, "write"):
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o644)

    def populate(self, source: PurePath, excluded: Excluded) -> tuple[str, ...]:
        writer = DirectoryTreeWriter(self._root / "home")
        notes: list[str] = []
        left_out: list[str] = []
        try:
            for entry, content in read_tree(Path(source)):
                directory = entry.type is EntryType.DIRECTORY
                if any(entry.path.startswith(f"{path}/") for path in left_out) or excluded(entry.path, directory):
                    left_out += [entry.path] if directory else []
                elif entry.type is EntryType.HARDLINK and excluded(entry.target, False):
                    status = os.lstat(Path(source) / entry.path)
                    copy = entry._replace(type=EntryType.FILE, target="", size=status.st_size, uid=0, gid=0)
                    writer.add(copy, _read(Path(source) / entry.path))
                elif entry.type is EntryType.SYMLINK and paths.resolve_target(entry.path, entry.target) is None:
                    notes.append(f"`{entry.path}` leads out of the source directory and was left out")
                elif entry.type in (EntryType.CHARACTER, EntryType.BLOCK, EntryType.FIFO):
                    message = f"`{entry.path}` is neither a file nor a directory nor a link"
                    raise ConfigurationError(message, reason="bad-source-file", origin=Origin(str(source)))
                else:
                    writer.add(entry._replace(uid=0, gid=0, xattrs=()), content)
            writer.finish()
        finally:
            writer.close()
        return tuple(notes)

    def give(self, user: int, group: int) -> None:
        if self._change_owners is not None:
            self._change_owners(("give", str(user), str(group), *self._directories()))
            return
        for top in self._directories():
            for directory, names, files in os.walk(top):
                for name in (".", *names, *files):
                    os.chown(os.path.join(directory, name), user, group, follow_symlinks=False)

    def make_output(self, name: str) -> None:
        target = self._root / "home" / "melange-out" / name
        with faults_named(target, "create"):
            target.mkdir(mode=0o755, exist_ok=True)
            target.chmod(0o755)

    def settle(self) -> None:
        self._forget(str(self._root / "root"))
        if self._change_owners is None:
            return
        for line in self._change_owners(("take", self.home)).splitlines():
            path, mode, uid, gid, attributes = json.loads(line)
            xattrs = tuple(sorted((name, bytes.fromhex(value)) for name, value in attributes.items()))
            self._kept[path] = _Kept(mode, uid, gid, xattrs)

    def output(self, name: str) -> tuple[Entry, ...]:
        top = self._root / "home" / "melange-out" / name
        for place in (top.parent, top):
            if not os.path.lexists(place):
                return ()
            if place.is_symlink() or not place.is_dir():
                shown = f"{_HOME}/{place.relative_to(self._root / 'home')}"
                message = "what the steps left in the place of an output directory is no directory"
                raise FormatError(message, reason="output-not-a-directory", origin=Origin(shown, package=name))
        found = []
        for entry in read_entries(top):
            kept = self._kept.get(f"{top}/{entry.path}")
            if kept is not None:
                entry = entry._replace(mode=kept.mode, uid=kept.uid, gid=kept.gid, xattrs=kept.xattrs)
            found.append(entry._replace(xattrs=_unmapped(entry.xattrs)) if entry.xattrs else entry)
        return tuple(found)

    def content(self, name: str, path: str) -> Iterator[bytes]:
        return _read(self._root / "home" / "melange-out" / name / path)

    def read(self, path: str, limit: int) -> bytes | None:
        writer = DirectoryTreeWriter(self._root / "home")
        try:
            for _ in range(_LINKS):
                if paths.fault(path):
                    return None
                target = writer.link(path)
                if target is None:
                    return writer.content(path, limit)
                inside = target.startswith(f"{_HOME}/")
                path = paths.resolve_target("" if inside else path, target.removeprefix(f"{_HOME}/")) or ""
            return None
        finally:
            writer.close()

    def remove(self) -> None:
        self._forget(str(self._root / "root"))
        if self._change_owners is not None and self._root.exists():
            self._change_owners(("take", str(self._root)))
        _remove_tree(self._root)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _directories(self) -> list[str]:
        return [str(path) for path in self._root.iterdir() if path.name == "home"]


def _read(path: Path) -> Iterator[bytes]:
    with faults_named(path, "read"):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk


def _unmapped(xattrs: tuple[tuple[str, bytes], ...]) -> tuple[tuple[str, bytes], ...]:
    """Capabilities set in a user namespace carry the machine's id of its root (revision 3): as they are inside."""
    return tuple((name, _revision_two(value) if name == _CAPABILITY else value) for name, value in xattrs)


def _revision_two(value: bytes) -> bytes:
    if len(value) == 24 and value[3] == 3:
        return value[:3] + b"\x02" + value[4:20]
    return value


def _remove_tree(root: Path) -> None:
    """Also with directories in it that nobody may write."""

    def allow(function: Callable[..., object], path: str, _error: object) -> None:
        for place in (os.path.dirname(path), path):
            if not os.path.islink(place) and os.path.isdir(place):
                os.chmod(place, stat.S_IRWXU)
        function(path)

    if root.exists():
        with faults_named(root, "remove"):
            shutil.rmtree(root, onerror=allow)
