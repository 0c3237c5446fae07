"""The data member of a `.deb` as the file tree of an apk package: paths after usr-merge, order, refusals (spec debian.md §9)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from apkiln.core.errors import ConflictError, FaultCollector, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import Entry, EntryType

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories of the root that are links into `usr`; entries below them move there."""
_REFUSED = (EntryType.CHARACTER, EntryType.BLOCK, EntryType.FIFO)


@dataclass(frozen=True, slots=True)
class FileTree:
    """Entries in the order of a package: all directories, parents first, then everything else by path; no path twice.

    A directory has its own entry before anything below it; a hard link's target is an earlier FILE.
    """

    entries: tuple[Entry, ...]
    contents: Mapping[str, bytes]
    """Content of each FILE by path; not to be changed."""
    moved: int
    """Entries whose path the merge changed."""

    def size(self) -> int:
        """Bytes of regular files, hard links counted once (spec package.md §10.2)."""
        return sum(entry.size for entry in self.entries)


EMPTY_TREE = FileTree((), {}, 0)


def merged_path(path: str) -> str:
    """Where a path of the archive lies after usr-merge."""
    return f"usr/{path}" if path.partition("/")[0] in MERGED else path


def build_tree(members: Iterable[tuple[Entry, bytes]], package: str, newest: int, *, keep_root_links: bool = False) -> FileTree:
    """Rewrite, check and order the members of a data archive; times after `newest` are set to it.

    Links at the merged paths themselves (`/bin` and its like) belong to the base layout and are left out, unless
    `keep_root_links`.

    Raises, all together: FormatError `dot-path`, `deb-device`, `deb-hard-link`; ConflictError `file-conflict` when two
    members meet on one path with different content.
    """
    return _Builder(package, newest, keep_root_links).build(members)


class _Builder:
    def __init__(self, package: str, newest: int, keep_root_links: bool) -> None:
        self._keep_root_links = keep_root_links
        self._package = package
        self._newest = newest
        self._faults = FaultCollector.empty()
        self._entries: dict[str, Entry] = {}
        self._contents: dict[str, bytes] = {}
        self._moved = 0

    def build(self, members: Iterable[tuple[Entry, bytes]]) -> FileTree:
        for entry, content in members:
            self._add(entry, content)
        self._settle_hard_links()
        self._add_parents()
        self._faults.raise_if_any()
        entries = tuple(sorted(self._entries.values(), key=_order))
        return FileTree(entries, self._contents, self._moved)

    def _add(self, entry: Entry, content: bytes) -> None:
        if entry.path.startswith("."):
            self._fault(entry, "apk does not extract paths of the root that begin with a dot", "dot-path")
            return
        if entry.type in _REFUSED:
            self._fault(entry, f"a package may not ship a {entry.type.name.lower()}", "deb-device")
            return
        root_link = entry.path in MERGED and entry.type is EntryType.SYMLINK
        if root_link and not self._keep_root_links:
            return
        moved = (entry if root_link else _rewritten(entry))._replace(mtime=max(0, min(entry.mtime, self._newest)))
        self._moved += moved.path != entry.path and entry.path not in MERGED
        self._place(moved, content)

    def _place(self, entry: Entry, content: bytes) -> None:
        earlier = self._entries.get(entry.path)
        if earlier is None:
            self._entries[entry.path] = entry
            if entry.type is EntryType.FILE:
                self._contents[entry.path] = content
        elif not self._same(earlier, entry, content):
            self._faults.add(
                ConflictError(
                    f"`{entry.path}` is there twice with different content after usr-merge",
                    reason="file-conflict",
                    origin=Origin(package=self._package, member=f"data/{entry.path}"),
                )
            )

    def _same(self, earlier: Entry, entry: Entry, content: bytes) -> bool:
        if earlier.type is EntryType.DIRECTORY and entry.type is EntryType.DIRECTORY:
            return True
        same = (earlier.type, earlier.target, earlier.mode) == (entry.type, entry.target, entry.mode)
        return same and self._contents.get(entry.path, b"") == content

    def _settle_hard_links(self) -> None:
        """Make the first path of each group the file, so that every link points to an earlier entry."""
        groups: dict[str, list[str]] = {}
        for path, entry in self._entries.items():
            if entry.type is EntryType.HARDLINK:
                groups.setdefault(self._root_of(entry), []).append(path)
        for target, links in groups.items():
            original = self._entries.get(target)
            if original is None or original.type is not EntryType.FILE:
                message = f"the hard link points to `{target}`, which is no file here"
                self._fault(self._entries[links[0]], message, "deb-hard-link")
                continue
            first, *rest = sorted([target, *links], key=_path_key)
            content = self._contents.pop(target)
            self._contents[first] = content
            self._entries[first] = original._replace(path=first)
            for path in rest:
                self._entries[path] = original._replace(path=path, type=EntryType.HARDLINK, size=0, target=first)

    def _root_of(self, entry: Entry) -> str:
        """Follow links to links; a circle ends at a path that is no file."""
        seen = {entry.path}
        target = entry.target
        while (next_entry := self._entries.get(target)) is not None and next_entry.type is EntryType.HARDLINK:
            if target in seen:
                break
            seen.add(target)
            target = next_entry.target
        return target

    def _add_parents(self) -> None:
        for path in list(self._entries):
            directory = paths.parent(path)
            while directory and directory not in self._entries:
                self._entries[directory] = Entry(directory, EntryType.DIRECTORY, 0o755, mtime=self._newest)
                directory = paths.parent(directory)
            if directory and self._entries[directory].type is not EntryType.DIRECTORY:
                self._fault(self._entries[path], f"`{directory}` is no directory", "deb-path")

    def _fault(self, entry: Entry, message: str, reason: str) -> None:
        self._faults.add(FormatError(message, reason=reason, origin=Origin(package=self._package, member=f"data/{entry.path}")))


def with_files(tree: FileTree, added: Iterable[tuple[Entry, bytes]], newest: int, package: str) -> FileTree:
    """The tree with further entries; raises as `build_tree` when a path is taken by something else."""
    present = ((entry, tree.contents.get(entry.path, b"")) for entry in tree.entries)
    built = build_tree([*present, *added], package, newest)
    return FileTree(built.entries, built.contents, tree.moved)


def md5_of(tree: FileTree) -> dict[str, str]:
    """MD5 of every FILE by path, hexadecimal; only to compare with `md5sums`, which Debian writes in it."""
    return {path: hashlib.md5(content, usedforsecurity=False).hexdigest() for path, content in tree.contents.items()}


def _rewritten(entry: Entry) -> Entry:
    path = merged_path(entry.path)
    if entry.type is EntryType.HARDLINK:
        return entry._replace(path=path, target=merged_path(entry.target))
    if entry.type is EntryType.SYMLINK:
        return entry._replace(path=path, target=_link_text(entry.path, path, entry.target))
    return entry._replace(path=path)


def _link_text(old_link: str, new_link: str, text: str) -> str:
    """A link text that names the same file after the merge; unchanged where it still does."""
    old_target = paths.resolve_target(old_link, text)
    if not old_target:
        return text
    new_target = merged_path(old_target)
    if text.startswith("/"):
        return text if new_target == old_target else f"/{new_target}"
    if paths.resolve_target(new_link, text) == new_target:
        return text
    return _relative(paths.parent(new_link), new_target)


def _relative(directory: str, target: str) -> str:
    here, there = directory.split("/") if directory else [], target.split("/")
    shared = 0
    while shared < min(len(here), len(there) - 1) and here[shared] == there[shared]:
        shared += 1
    return "/".join([".."] * (len(here) - shared) + there[shared:])


def _order(entry: Entry) -> tuple[bool, list[str]]:
    return (entry.type is not EntryType.DIRECTORY, _path_key(entry.path))


def _path_key(path: str) -> list[str]:
    return path.split("/")


def in_package_order(entries: Iterable[Entry]) -> bool:
    """Whether entries stand in the order of `FileTree`."""
    return all(_order(left) < _order(right) for left, right in pairwise(entries))
