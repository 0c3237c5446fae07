"""One member of an archive or one node of a file tree."""

from __future__ import annotations

from enum import Enum

from apkiln.core.named_tuple import NamedTuple


class EntryType(Enum):
    """The value is the ustar type byte."""

    FILE = "0"
    HARDLINK = "1"
    SYMLINK = "2"
    CHARACTER = "3"
    BLOCK = "4"
    DIRECTORY = "5"
    FIFO = "6"


class Entry(NamedTuple):
    """Metadata of one archive member.  Paths are relative, without `./`, leading or trailing slash; never empty."""

    path: str
    type: EntryType
    mode: int = 0o644
    """Low 12 bits: permissions, setuid, setgid, sticky."""
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    size: int = 0
    """Content bytes; 0 for everything but FILE."""
    mtime: int = 0
    """Unix seconds."""
    target: str = ""
    """Symlink text, or the path (same form as `path`) a HARDLINK refers to."""
    device: tuple[int, int] = (0, 0)
    """Major and minor of CHARACTER and BLOCK."""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    """Extended attributes sorted by name."""
    pax: tuple[tuple[str, str], ...] = ()
    """Further PAX records that are not expressed by the fields above (for example `APK-TOOLS.checksum.SHA1`), sorted."""


class ContentEntry(NamedTuple):
    """An entry together with the digests of its content, as learned by the one verified read of a package."""

    entry: Entry
    sha1: bytes = b""
    """Raw SHA-1 of the content of a FILE, or of a SYMLINK's target text; empty otherwise."""
    sha256: bytes = b""
    """Raw SHA-256 of the content of a FILE; empty otherwise."""
