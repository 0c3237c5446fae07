"""A directory of a tree."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import Entry, EntryType


class Directory(NamedTuple):
    """A directory with everything a layer says of it; the root is never one."""

    path: str
    mode: int = 0o755
    """Low 12 bits."""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()

    def entry(self) -> Entry:
        return Entry(self.path, EntryType.DIRECTORY, self.mode, self.uid, self.gid, mtime=self.mtime, xattrs=self.xattrs)

    @classmethod
    def of(cls, entry: Entry) -> Directory:
        return cls(entry.path, entry.mode, entry.uid, entry.gid, entry.mtime, entry.xattrs)
