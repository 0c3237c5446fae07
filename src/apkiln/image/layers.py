"""What a layer consists of, as a value: skeleton, package segments, generated content, end (spec image.md §8.2).

    every directory once, parents first · the segments by package name · what rules wrote, hard links last · two zero blocks

No path stands twice.  A segment's bytes depend on its package and on the paths that it loses, on nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive import path as paths
from apkiln.formats.archive import tar_writer
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.image.generated.draft import Draft, Node
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.normalise import layer_header
from apkiln.rootfs.tree_plan import TreePlan, tree_order


class KeptContent(NamedTuple):
    """A place in generated content where the content of a package's file belongs."""

    path: str
    """In the tree of packages."""
    size: int


GeneratedPart = bytes | KeptContent


def skeleton(directories: Iterable[Directory], draft: Draft, below: Callable[[str], Entry | None] = lambda path: None) -> bytes:
    """Tar entries of all directories of the finished tree, parents first, without those that lower layers have alike."""
    entries = {item.path: item.entry() for item in directories if item.path not in draft.removed}
    for path, node in draft.nodes.items():
        if node.entry.type is EntryType.DIRECTORY:
            entries[path] = node.entry
    entries = {path: entry for path, entry in entries.items() if below(path) != entry}
    return b"".join([layer_header(entries[path]) for path in sorted(entries, key=tree_order)])


def group_skeleton(plan: TreePlan, group: Collection[int], others: Iterable[str] = ()) -> bytes:
    """Tar entries of the directories that the packages of a group need, and further paths that `others` names, parents first.

    Depends on these packages alone: a directory that several ship has the metadata of the one that decides among them
    (spec apk.md §11.3); a parent that none ships is 0755, 0:0, of time 0.  The top layer has the final metadata of all.
    """
    found: dict[str, Directory] = {}
    needed: set[str] = set()
    shipped = {position: {item.path: item for item in plan.packages[position].files.directories} for position in group}
    for planned in plan.directories:
        path = planned.directory.path
        for position in sorted(set(planned.packages) & set(group), key=lambda position: _authority(plan, position)):
            found.setdefault(path, shipped[position].get(path, Directory(path)))
    for position in group:
        needed.update(paths.parent(place) for _, place in plan.packages[position].winning())
    needed.update(map(paths.parent, others))
    needed |= found.keys()
    for path in tuple(needed):
        while path and path not in found:
            found[path] = Directory(path)
            path = paths.parent(path)
        while path := paths.parent(path):
            found.setdefault(path, Directory(path))
    return b"".join([layer_header(found[path].entry()) for path in sorted(found, key=tree_order)])


def _authority(plan: TreePlan, position: int) -> tuple[int, bool, str]:
    info = plan.packages[position].files.head.info
    return -info.replaces_priority, info.name != info.origin, info.name


def overridden_paths(draft: Draft) -> frozenset[str]:
    """Paths that the packages' segments must leave out because rules wrote them anew, and directories that are gone."""
    taken = {path for path, node in draft.nodes.items() if node.entry.type is not EntryType.DIRECTORY}
    return frozenset(path for path in taken if draft.packages.peek(path) is not None) | draft.removed


def generated_parts(draft: Draft) -> Iterator[GeneratedPart]:
    """Tar entries of everything rules wrote that is no directory, in tree order, hard links last, then the end blocks.

    Content that stays a package's is named, not read.
    """
    nodes = sorted(
        (node for node in draft.nodes.values() if node.entry.type is not EntryType.DIRECTORY),
        key=lambda node: (node.entry.type is EntryType.HARDLINK, tree_order(node.entry.path)),
    )
    for node in nodes:
        yield layer_header(node.entry)
        if node.entry.type is EntryType.FILE:
            yield from _content(node)
    yield tar_writer.END_OF_ARCHIVE


def _content(node: Node) -> Iterator[GeneratedPart]:
    entry: Entry = node.entry
    if node.content is None:
        yield KeptContent(node.source, entry.size)
    else:
        yield node.content
    yield tar_writer.padding(entry.size)


def parts_key(parts: Iterable[GeneratedPart], sha256_of: Callable[[str], str]) -> str:
    """Digest of generated parts that names their bytes without reading kept content.  `sha256_of`: hex digest by path."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, KeptContent):
            state.update(b"kept %s %d\n" % (sha256_of(part.path).encode(), part.size))
        else:
            state.update(b"bytes %d\n" % len(part))
            state.update(part)
    return state.hexdigest()
