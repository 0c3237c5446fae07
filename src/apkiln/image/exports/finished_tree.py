"""The finished tree of one image, entry by entry with its contents, whatever its layers are (spec image.md §13)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft
from apkiln.image.planned_tree import PlannedTree
from apkiln.rootfs.normalise import layer_header
from apkiln.rootfs.tree_plan import tree_order


class FinishedTree:
    """All paths of a tree, parents first and siblings bytewise; every hard link stands after its file.

    Of names that are joined, the first in that order is the FILE, the others are HARDLINKs to it.
    """

    def __init__(self, draft: Draft, tree: PlannedTree) -> None:
        self._draft = draft
        self._tree = tree
        self._sources: dict[str, str] = {}
        self.entries: tuple[Entry, ...] = tuple(self._rooted(_entries(draft)))
        """Without the root itself."""

    def content(self, path: str) -> Iterator[bytes]:
        """Content of a FILE in chunks, verified: an error may come after the last one (VerificationError
        `cache-entry-damaged`)."""
        source = self._sources.get(path, path)
        node = self._draft.nodes.get(source)
        if node is None:
            yield from self._tree.chunks(source)
        elif node.content is None:
            yield from self._tree.chunks(node.source)
        else:
            yield node.content

    def tar(self) -> Iterator[bytes]:
        """The tree as a tar archive with its end blocks."""
        for entry in self.entries:
            yield layer_header(entry)
            if entry.type is EntryType.FILE and entry.size:
                yield from self.content(entry.path)
                yield tar_writer.padding(entry.size)
        yield tar_writer.END_OF_ARCHIVE

    def _rooted(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """`entries` in order, with the content of joined names on the first of them."""
        listed = list(entries)
        by_path = {entry.path: entry for entry in listed}
        joined = {entry.target for entry in listed if entry.type is EntryType.HARDLINK}
        first: dict[str, str] = {}
        for entry in listed:
            source = entry.target if entry.type is EntryType.HARDLINK else entry.path
            if source not in joined:
                yield entry
            elif source not in first:
                first[source] = entry.path
                self._sources[entry.path] = source
                yield by_path[source]._replace(path=entry.path)
            else:
                yield entry._replace(type=EntryType.HARDLINK, size=0, target=first[source])


def _entries(draft: Draft) -> list[Entry]:
    paths = {*draft.packages.paths(), *draft.nodes} - draft.removed
    found = (draft.entry(path) for path in sorted(paths, key=tree_order))
    return [entry for entry in found if entry is not None]
