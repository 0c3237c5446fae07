"""The packages' part of a tree held in memory: the twin of the planned tree, for tests and small tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Peek


class Shipped(NamedTuple):
    """A path that a package ships."""

    entry: Entry
    package: str = "package"
    content: bytes = b""


class MemoryTree:
    """A `draft.PackageTree` over given paths."""

    def __init__(self, shipped: Iterable[Shipped] = ()) -> None:
        self._shipped: Mapping[str, Shipped] = {item.entry.path: item for item in shipped}

    def entry(self, path: str) -> Entry | None:
        item = self._shipped.get(path)
        return item.entry if item else None

    def peek(self, path: str) -> Peek | None:
        entry = self.entry(path)
        if entry is None:
            return None
        return Peek(entry.type is EntryType.DIRECTORY, entry.target if entry.type is EntryType.SYMLINK else "")

    def package(self, path: str) -> str:
        return self._shipped[path].package

    def paths(self) -> Iterable[str]:
        return self._shipped.keys()

    def links_to(self, path: str) -> Iterable[str]:
        entries = (item.entry for item in self._shipped.values())
        return [entry.path for entry in entries if entry.type is EntryType.HARDLINK and entry.target == path]

    def read(self, path: str) -> bytes:
        return self._shipped[path].content
