"""One tree of files cut in two, each with the directories it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from apkiln.debian.file_tree import FileTree
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent


class SplitTree(NamedTuple):
    """The two parts."""

    main: FileTree
    away: FileTree


def split_tree(tree: FileTree, goes_away: Callable[[Entry], bool]) -> SplitTree:
    """Cut a tree in two.  Directories go with what they hold; one that is empty anyway stays with the main part.

    Files that have other names by hard link stay: neither part may need the other's files.
    """
    kept = {entry.path for entry in tree.entries if entry.type is not EntryType.DIRECTORY and not goes_away(entry)}
    kept |= {entry.path for entry in tree.entries if entry.type is EntryType.HARDLINK}
    kept |= {entry.target for entry in tree.entries if entry.type is EntryType.HARDLINK}
    leaves = [entry for entry in tree.entries if entry.type is not EntryType.DIRECTORY]
    away = [entry for entry in leaves if entry.path not in kept]
    stay = [entry for entry in leaves if entry.path in kept]
    directories = [entry for entry in tree.entries if entry.type is EntryType.DIRECTORY]
    full = _parents(leaves)
    empty = [entry for entry in directories if entry.path not in full]
    needed = _parents([*stay, *empty]) | {entry.path for entry in empty}
    main = [entry for entry in directories if entry.path in needed]
    other = [entry for entry in directories if entry.path in _parents(away)]
    return SplitTree(_part(tree, [*main, *stay]), _part(tree, [*other, *away]))


def _parents(entries: list[Entry]) -> set[str]:
    found: set[str] = set()
    for entry in entries:
        directory = parent(entry.path)
        while directory and directory not in found:
            found.add(directory)
            directory = parent(directory)
    return found


def _part(tree: FileTree, entries: list[Entry]) -> FileTree:
    names = {entry.path for entry in entries}
    ordered = tuple(entry for entry in tree.entries if entry.path in names)
    contents = {path: content for path, content in tree.contents.items() if path in names}
    return FileTree(ordered, contents, tree.moved)
