"""The lines of one record of the installed database (spec apk.md §4)."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.attributes import attributes_digest
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.archive.entry import ContentEntry, EntryType
from apkiln.rootfs.directory import Directory


class DatabaseLines(NamedTuple):
    """One record of the database in the two parts that depend on the package alone."""

    head: bytes
    """The index lines, then `r:` and `q:`."""
    files: bytes
    """The lines of directories and files; see `files_text`."""


class FileLine(NamedTuple):
    """One path that is not a directory, as the database says it."""

    path: str
    mode: int
    uid: int
    gid: int
    digest: bytes
    """SHA-1 of a file's content or of a symlink's text; of its file for a hard link; empty for devices."""
    xattrs: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, item: ContentEntry, content: ContentEntry, path: str) -> FileLine:
        """The line of `item` at `path`; `content` = the record a hard link names, else `item` itself."""
        entry = item.entry
        if entry.type is EntryType.HARDLINK:
            # The inode is the file's: its metadata holds for every name.
            entry = content.entry
        return cls(path, entry.mode, entry.uid, entry.gid, content.sha1, entry.xattrs)


def head_text(contents: PackageContents) -> bytes:
    """The lines of a record before `s:`: those of an index, `r:` (replaces) and `q:` (its priority) when they are set."""
    # Written once per package; a build of known packages needs neither module.
    from apkiln.formats.apk.index import record_of
    from apkiln.formats.apk.index_text import format_record

    lines = [format_record(record_of(contents))]
    if contents.info.replaces:
        lines.append(f"r:{' '.join(contents.info.replaces)}\n")
    if contents.info.replaces_priority:
        lines.append(f"q:{contents.info.replaces_priority}\n")
    return "".join(lines).encode()


def files_text(directories: Iterable[Directory], files: Iterable[FileLine]) -> bytes:
    """`F:`, `M:`, `R:`, `a:` and `Z:` lines; directories and the files of each bytewise; `M:` and `a:` only when they say
    something else than 0:0:755 and 0:0:644.  A directory is written even when it is empty."""
    listed = {item.path: _acl("M", item.uid, item.gid, item.mode, 0o755, item.xattrs) for item in directories}
    contents: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        parent, _, name = file.path.rpartition("/")
        digest = f"\nZ:{checksum(file.digest)}" if file.digest else ""
        contents[parent].append(f"R:{name}{_acl('a', file.uid, file.gid, file.mode, 0o644, file.xattrs)}{digest}")
    lines: list[str] = []
    for path in sorted(listed.keys() | contents.keys()):
        lines.append(f"F:{path}{listed.get(path, '')}")
        lines += sorted(contents.get(path, ()), key=_name)
    return "".join([f"{line}\n" for line in lines]).encode()


def checksum(digest: bytes) -> str:
    """`Q1` and the Base64 of a SHA-1."""
    return "Q1" + b64encode(digest).decode()


def _acl(letter: str, uid: int, gid: int, mode: int, usual: int, xattrs: tuple[tuple[str, bytes], ...]) -> str:
    if xattrs:
        return f"\n{letter}:{uid}:{gid}:{mode:o}:{checksum(attributes_digest(xattrs))}"
    return "" if mode == usual and uid == 0 and gid == 0 else f"\n{letter}:{uid}:{gid}:{mode:o}"


def _name(lines: str) -> str:
    return lines.partition("\n")[0]
