"""A directory tree of the disk as archive entries, for looking at roots that are no archives."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.system.faults import fault_of, faults_named

_CHUNK = 256 * 1024
_TYPES = {
    stat.S_IFREG: EntryType.FILE,
    stat.S_IFDIR: EntryType.DIRECTORY,
    stat.S_IFLNK: EntryType.SYMLINK,
    stat.S_IFCHR: EntryType.CHARACTER,
    stat.S_IFBLK: EntryType.BLOCK,
    stat.S_IFIFO: EntryType.FIFO,
}


def read_tree(root: Path) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """Every path below `root`, parents first, names of a directory sorted; symlinks are not followed, other file systems not
    entered, sockets left out.  Each with the chunks of its content, to be read (or not) before the next.

    Names of one file after the first are hard links.  Raises UnavailableError `missing-file`, EnvironmentFault
    `no-permission`.
    """
    for entry, path in _walked(root):
        yield entry, _chunks(path) if entry.type is EntryType.FILE else iter(())


def read_entries(root: Path) -> tuple[Entry, ...]:
    """The entries of `read_tree` without their contents, which `read_file` gives later."""
    return tuple(entry for entry, _ in _walked(root))


def read_file(root: Path, path: str) -> Iterable[bytes]:
    """The content of a regular file below `root` in chunks; a link in its place is not followed.  Errors of `read_tree`.

    A file of no more than one chunk is read, and closed, by the call."""
    return _content(f"{root}/{path}")


def _walked(root: Path) -> Iterator[tuple[Entry, str]]:
    """Entries, each with its path on the disk."""
    with faults_named(root, "read"):
        device = root.stat().st_dev
    seen: dict[tuple[int, int], str] = {}
    # Directories that are being listed, with where in them the walk is: 20,000 files pass no chain of generators.
    open_directories = [("", iter(_listed(str(root))))]
    while open_directories:
        above, items = open_directories[-1]
        for item in items:
            try:
                status = item.stat(follow_symlinks=False)
                kind = _TYPES.get(stat.S_IFMT(status.st_mode))
                if kind is None or status.st_dev != device:
                    continue
                entry = _entry(item, f"{above}{item.name}", kind, status, seen)
            except OSError as error:
                raise fault_of(error, item.path, "read") from error
            yield entry, item.path
            if kind is EntryType.DIRECTORY:
                open_directories.append((f"{entry.path}/", iter(_listed(item.path))))
                break
        else:
            open_directories.pop()


def _listed(directory: str) -> list[os.DirEntry[str]]:
    with faults_named(directory, "read"), os.scandir(directory) as found:
        return sorted(found, key=lambda item: os.fsencode(item.name))


def _entry(item: os.DirEntry[str], path: str, kind: EntryType, status: os.stat_result, seen: dict[tuple[int, int], str]) -> Entry:
    identity = (status.st_dev, status.st_ino)
    if kind is EntryType.FILE and status.st_nlink > 1 and seen.setdefault(identity, path) != path:
        return Entry(path, EntryType.HARDLINK, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, target=seen[identity])
    is_device = kind in (EntryType.CHARACTER, EntryType.BLOCK)
    return Entry(
        path,
        kind,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        size=status.st_size if kind is EntryType.FILE else 0,
        mtime=int(status.st_mtime),
        target=os.readlink(item.path) if kind is EntryType.SYMLINK else "",
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
        xattrs=_attributes(item.path),
    )


def _attributes(path: str) -> tuple[tuple[str, bytes], ...]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return ()
    # The machine's own labels are no part of a tree.
    kept = sorted(name for name in names if not name.startswith(("security.selinux", "system.")))
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in kept)


def _content(path: str) -> Iterable[bytes]:
    """A file of more than one chunk is opened when its first chunk is asked for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            # One byte more is asked for: when it does not come, this is all.
            content = os.read(descriptor, size + 1) if size <= _CHUNK else b""
        finally:
            os.close(descriptor)
    except OSError as error:
        raise fault_of(error, path, "read") from error
    if len(content) == size:
        return (content,) if content else ()
    return _chunks(path)


def _chunks(path: str) -> Iterator[bytes]:
    with faults_named(path, "read"):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
