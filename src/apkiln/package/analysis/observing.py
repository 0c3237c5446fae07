"""Facts of files gathered while something else reads them: each content passes once (spec package.md §21)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apkiln.core.limits import MIB
from apkiln.formats.apk.payload import KEPT, ContentReader
from apkiln.formats.archive.entry import Entry
from apkiln.package.analysis.facts import FileFacts, TreeFacts

HELD = 512 * MIB
"""A file between `payload.KEPT` and this is kept in memory from the reading that gives its digest to the one that packs it."""


class Observer:
    """Watches one package's contents pass by.  Use it for one tree, from one thread."""

    def __init__(self, package: str, entries: Iterable[Entry]) -> None:
        self._package = package
        self._entries = tuple(sorted(entries, key=lambda entry: entry.path.split("/")))
        self._sizes = {entry.path: entry.size for entry in self._entries}
        self._files: dict[str, FileFacts] = {}
        self._held: tuple[str, list[bytes]] = ("", [])

    def reader(self, content: ContentReader) -> ContentReader:
        """The same contents.  The first complete reading of a path is the one that is observed."""

        def read(path: str) -> Iterable[bytes]:
            held, chunks = self._held
            if held == path:
                self._held = ("", [])
                return chunks
            return self._observed(path, content(path))

        return read

    def facts(self) -> TreeFacts:
        """What was learned, after all files were read."""
        return TreeFacts(self._package, self._entries, self._files)

    def _observed(self, path: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        size = self._sizes.get(path, 0)
        kept: list[bytes] = []
        for chunk in chunks:
            kept.append(chunk)
            yield chunk
        if KEPT < size <= HELD:
            self._held = (path, kept)
