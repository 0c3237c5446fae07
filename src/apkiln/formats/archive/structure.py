"""Rules that concern several entries of one archive together (spec apk.md §12.3 "structure").

Pure bookkeeping over names: what an archive has created so far decides what the next entry may be.  Memory: one dict item a
path.
"""

from __future__ import annotations

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent

_DIRECTORY = EntryType.DIRECTORY
_SYMLINK = EntryType.SYMLINK


class Structure:
    """What the entries seen so far make of the tree."""

    def __init__(self) -> None:
        self._types: dict[str, EntryType] = {"": _DIRECTORY}
        self._directories: dict[str, Entry] = {}

    def add(self, entry: Entry) -> str:
        """Take one entry; the reason of the rule it breaks, or "".

        `path-repeated`: the path was there already, unless both are equal directories.  `parent-missing`: no entry for its
        directory came before.  `path-below-file`, `path-through-symlink`: some parent is not a directory.
        `hardlink-target-missing`: no earlier path of this archive has the target's name.  `hardlink-to-symlink`,
        `hardlink-to-directory`: the target is not a file.
        """
        path, kind = entry.path, entry.type
        above = parent(path)
        if self._types.get(above) is not _DIRECTORY:
            return self._parent_fault(above)
        if path in self._types and self._directories.get(path) != entry:
            return "path-repeated"
        if kind is EntryType.HARDLINK:
            reason = self._link_fault(entry.target)
            if reason:
                return reason
        self._types[path] = kind
        if kind is _DIRECTORY:
            self._directories[path] = entry
        return ""

    def _parent_fault(self, above: str) -> str:
        while above:
            kind = self._types.get(above)
            if kind is _SYMLINK:
                return "path-through-symlink"
            if kind is not None and kind is not _DIRECTORY:
                return "path-below-file"
            above = parent(above)
        return "parent-missing"

    def _link_fault(self, target: str) -> str:
        kind = self._types.get(target)
        if kind is None:
            return "hardlink-target-missing"
        if kind is _SYMLINK:
            return "hardlink-to-symlink"
        return "hardlink-to-directory" if kind is _DIRECTORY else ""
