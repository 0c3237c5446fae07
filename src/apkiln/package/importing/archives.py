"""Archives as output trees: contents go to a spool once and are read back from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from apkiln.core.errors import FormatError
from apkiln.core.limits import Limits
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import FOREIGN
from apkiln.formats.deb.compression import Window, decompressed
from apkiln.package.output_tree import OutputTree

_CHUNK = 1 << 20
_MAGIC = ((b"\x1f\x8b", ".gz"), (b"\xfd7zXZ\0", ".xz"), (b"\x28\xb5\x2f\xfd", ".zst"))


class SpooledTree:
    """A tree whose contents lie one behind the other in a seekable file."""

    def __init__(self, spool: BinaryIO) -> None:
        self._spool = spool
        self._places: dict[str, tuple[int, int]] = {}
        self._entries: dict[str, Entry] = {}

    def add(self, entry: Entry, content: Iterable[bytes]) -> None:
        """Take one entry; what is there under its path gives way."""
        self._entries[entry.path] = entry
        if entry.type is EntryType.FILE:
            start = self._spool.seek(0, 2)
            size = sum(self._spool.write(chunk) for chunk in content)
            self._places[entry.path] = (start, size)
            self._entries[entry.path] = entry._replace(size=size)

    def tree(self, package: str) -> OutputTree:
        """The tree of what was added; good as long as the spool is open."""
        return OutputTree(package, tuple(self._entries.values()), self._content)

    def _content(self, path: str) -> Iterator[bytes]:
        start, size = self._places[path]
        end = start + size
        while start < end:
            self._spool.seek(start)
            chunk = self._spool.read(min(_CHUNK, end - start))
            if not chunk:
                raise FormatError(f"the content of `{path}` is gone", reason="content-size", origin=Origin(member=path))
            start += len(chunk)
            yield chunk


def read_archive(
    stream: BinaryIO, size: int, package: str, spool: BinaryIO, limits: Limits, *, strip_components: int = 0
) -> OutputTree:
    """A tar archive, plain or compressed with gzip, xz or zstd, as the tree of a package.

    `strip_components`: leading parts of every path that are left away, with those entries that have no more.  Raises the
    FormatErrors of the tar reader and of the decompressors, and `archive-format` for anything else.
    """
    origin = Origin(package=package)
    head = stream.read(512)
    suffix = next((name for magic, name in _MAGIC if head.startswith(magic)), "")
    if not suffix and head[257:262] != b"ustar" and any(head):
        raise FormatError("this is no tar archive", reason="archive-format", origin=origin)
    chunks = decompressed(Window(stream, 0, size), suffix, limits.data_decompressed, limits, origin)
    spooled = SpooledTree(spool)
    reader = TarReader(chunks, FOREIGN, limits, section="data")
    for entry in reader:
        path = _stripped(entry.path, strip_components)
        if not path:
            continue
        target = _stripped(entry.target, strip_components) if entry.type is EntryType.HARDLINK else entry.target
        spooled.add(entry._replace(path=path, target=target, pax=()), reader.content())
    return spooled.tree(package)


def _stripped(path: str, count: int) -> str:
    return "/".join(path.split("/")[count:])


def owned_by_root(tree: OutputTree) -> OutputTree:
    """The tree with root as the owner of everything."""
    entries = tuple(entry._replace(uid=0, gid=0, uname="", gname="") for entry in tree.entries)
    return OutputTree(tree.package, entries, tree.content)
