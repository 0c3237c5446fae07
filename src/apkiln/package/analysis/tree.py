"""A package's files as the rules ask for them: by path, through links, with facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent, resolve_target
from apkiln.package.analysis.facts import NOTHING, FileFacts, TreeFacts

_MOST_LINKS = 40
REGULAR = (EntryType.FILE, EntryType.HARDLINK)
"""What a file system shows as a regular file."""


class Tree:
    """Entries of one package with an index by path.  Made once for all rules."""

    def __init__(self, facts: TreeFacts) -> None:
        self.package = facts.package
        self.entries = facts.entries
        self._facts = facts.files
        self._by_path = {entry.path: entry for entry in facts.entries}
        self.others = tuple([entry.path for entry in facts.entries if entry.type is not EntryType.DIRECTORY])
        """Paths of all but directories, in the order of the walk."""
        self._examined = tuple(self._with_facts())
        self._has_links = any(entry.type is EntryType.SYMLINK for entry in facts.entries)

    @cached_property
    def names(self) -> frozenset[str]:
        """Last parts of all paths."""
        return frozenset([entry.path.rpartition("/")[2] for entry in self.entries])

    @cached_property
    def announces_users(self) -> bool:
        """Whether it has a file of sysusers.d."""
        return any(path.startswith("usr/lib/sysusers.d/") for path in self.others)

    def at(self, path: str) -> Entry | None:
        return self._by_path.get(path)

    def facts(self, entry: Entry) -> FileFacts:
        """What the content of a regular file says."""
        return self._facts.get(entry.target if entry.type is EntryType.HARDLINK else entry.path, NOTHING)

    def regular(self) -> Iterator[Entry]:
        """Regular files, every name of a linked one, in the order of the walk."""
        return (entry for entry in self.entries if entry.type in REGULAR)

    def examined(self) -> Iterable[tuple[Entry, FileFacts]]:
        """Regular files about whose content there is something to say, with that."""
        return self._examined

    def _with_facts(self) -> Iterator[tuple[Entry, FileFacts]]:
        facts = self._facts
        for entry in self.entries if facts else ():
            found = facts.get(entry.target if entry.type is EntryType.HARDLINK else entry.path)
            if found is not None and entry.type in REGULAR:
                yield entry, found

    def resolve(self, path: str) -> Entry | None:
        """What a path leads to when links are followed inside the package; None when that is not there or a circle."""
        for _ in range(_MOST_LINKS):
            entry = self._by_path.get(path)
            if entry is not None and entry.type is not EntryType.SYMLINK:
                return entry
            link = entry or self._link_above(path)
            if link is None:
                return None
            target = resolve_target(link.path, link.target)
            if target is None:
                return None
            rest = path[len(link.path) :].lstrip("/")
            path = "/".join(part for part in (target, rest) if part)
        return None

    def _link_above(self, path: str) -> Entry | None:
        """The link nearest to the root among the directories of a path."""
        found = None
        above = parent(path) if self._has_links else ""
        while above:
            entry = self._by_path.get(above)
            if entry is not None and entry.type is EntryType.SYMLINK:
                found = entry
            above = parent(above)
        return found
