"""The packages' part of a tree: what lies at each path and who ships it, looked up in a plan (read-only).

What rules add or change lies above it (`image.generated.draft`, which knows this class by its `PackageTree` protocol); what
they take over comes back as paths that `without` removes from the packages' segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from apkiln.core.value import replace
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.rootfs.tree_plan import PlannedDirectory, TreePlan

ContentReader = Callable[[int, str], bytes]
"""(position of the package in the plan, shipped path) → verified content of the file."""


class PackagesTree:
    """A TreePlan seen as a tree.  Paths are places of the tree; tables are built at first use, a few ms for 8,000 paths."""

    def __init__(self, plan: TreePlan, read: ContentReader) -> None:
        self._plan = plan
        self._read = read
        self._owners = plan.owners()
        self._directories = {item.directory.path: item for item in plan.directories}
        self._shipped: list[dict[str, str]] = [{place: shipped for shipped, place in item.moved} for item in plan.packages]
        self._links: dict[int, dict[str, list[str]]] = {}

    def entry(self, path: str) -> Entry | None:
        """What packages (or the builder's own directories) put at `path`; links are not followed.  The entry's `path`, and a
        hard link's `target`, are places of the tree."""
        found = self._directories.get(path)
        if found is not None:
            return found.directory.entry()
        if path not in self._owners:
            return None
        return self._placed(path)

    def content_entry(self, path: str) -> ContentEntry:
        """The record with the digests of the content at `path`, hard links followed.  KeyError for directories and strangers."""
        position = self._owners[path]
        return self._plan.packages[position].files.content_entry(self._shipped[position].get(path, path))

    def directory(self, path: str) -> PlannedDirectory | None:
        """The planned directory at `path`."""
        return self._directories.get(path)

    def package(self, path: str) -> str:
        """Name of the package that owns `path`; "" for a directory of the builder.  KeyError for strangers."""
        position = self.position(path)
        return self._plan.packages[position].files.name if position >= 0 else ""

    def position(self, path: str) -> int:
        """Position in the plan of the package that owns `path`; -1 for a directory of the builder."""
        found = self._directories.get(path)
        return found.owner if found is not None else self._owners[path]

    def paths(self) -> Iterable[str]:
        """All paths, directories first."""
        return (*self._directories, *self._owners)

    def links_to(self, path: str) -> Iterable[str]:
        """The hard links to the file at `path`, in archive order.  Reads the entries of its package."""
        position = self._owners.get(path, -1)
        if position < 0:
            return ()
        if position not in self._links:
            self._links[position] = self._find_links(position)
        return tuple(self._links[position].get(path, ()))

    def read(self, path: str) -> bytes:
        """Content of the file at `path`, hard links followed, symlinks not.  KeyError when no package has a path there."""
        position = self._owners[path]
        return self._read(position, self._shipped[position].get(path, path))

    def sha256(self, path: str) -> str:
        """Hex SHA-256 of the content of the file at `path`."""
        return self.content_entry(path).sha256.hex()

    def _placed(self, path: str) -> Entry:
        position = self._owners[path]
        package = self._plan.packages[position]
        shipped = self._shipped[position].get(path, path)
        entry = package.files.entry(shipped).entry
        if entry.type is EntryType.HARDLINK:
            heir = self._content_name(position, package.files.content_entry(shipped).entry.path)
            if heir == path:
                return package.files.content_entry(shipped).entry._replace(path=path)
            return entry._replace(path=path, target=heir)  # flat, as the segment has it
        return entry if shipped == path else entry._replace(path=path)

    def _content_name(self, position: int, shipped_target: str) -> str:
        """Where the content of a hard link is: at its file, or at the first link left when another package has the file."""
        package = self._plan.packages[position]
        places = dict(package.moved)
        if not package.excluded or shipped_target not in package.excluded:
            return places.get(shipped_target, shipped_target)
        lost = frozenset(package.excluded)
        for item in package.files.entries():
            entry = item.entry
            if entry.type is not EntryType.HARDLINK or entry.path in lost:
                continue
            if package.files.content_entry(entry.path).entry.path == shipped_target:
                return places.get(entry.path, entry.path)
        raise AssertionError("a hard link that is in the tree has a first name")

    def _find_links(self, position: int) -> dict[str, list[str]]:
        """Place of a file → places of the hard links to it, for one package."""
        found: dict[str, list[str]] = {}
        for shipped, place in self._plan.packages[position].winning():
            if self._plan.packages[position].files.entry(shipped).entry.type is EntryType.HARDLINK:
                entry = self._placed(place)
                if entry.type is EntryType.HARDLINK:
                    found.setdefault(entry.target, []).append(place)
        return found


def without(plan: TreePlan, paths: Iterable[str]) -> TreePlan:
    """The plan whose packages additionally lack `paths` (places that rules take over or remove); directories among them are
    dropped from the table.  Paths no package has are ignored."""
    gone = frozenset(paths)
    if not gone:
        return plan
    owners = plan.owners()
    losers = {owners[path] for path in gone if path in owners}
    packages = list(plan.packages)
    for position in losers:
        package = packages[position]
        lost = {shipped for shipped, place in package.winning() if place in gone}
        moved = tuple((shipped, place) for shipped, place in package.moved if shipped not in lost)
        packages[position] = package._replace(excluded=tuple(sorted(lost.union(package.excluded))), moved=moved)
    directories = tuple(item for item in plan.directories if item.directory.path not in gone)
    return replace(plan, packages=tuple(packages), directories=directories)
