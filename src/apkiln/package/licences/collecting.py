"""Licence files of a package, kept while it is read."""

from __future__ import annotations

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.package.licences.names import weight
from apkiln.package.licences.searching import MAXIMUM_FILE


class CollectedTexts:
    """A sink for `formats.apk.package.read_package` that keeps files which may hold a licence; then it reads like a folder."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._contents: dict[str, list[bytes]] = {}
        self._current: list[bytes] | None = None

    def entry(self, entry: Entry) -> None:
        self._current = None
        if entry.type is EntryType.FILE:
            self._names.append(entry.path)
            if entry.size <= MAXIMUM_FILE and weight(entry.path):
                self._current = self._contents.setdefault(entry.path, [])

    def content(self, chunk: bytes) -> None:
        if self._current is not None:
            self._current.append(chunk)

    def read(self, name: str, limit: int) -> bytes | None:
        """None for what is not there and for files whose name is not that of a licence."""
        found = self._contents.get(name)
        return None if found is None else b"".join(found)[:limit]

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._names))
