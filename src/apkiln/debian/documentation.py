"""What people read, split off into a package of its own; copyright files stay (spec debian.md §9 "doc, man, locale, info")."""

from __future__ import annotations

from typing import NamedTuple

from apkiln.debian.file_tree import FileTree
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent

PLACES = (
    "usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/doc-base/",
    "usr/share/bug/", "usr/share/gtk-doc/", "usr/share/help/",
)  # fmt: skip
_LICENCES = "usr/share/doc/"


class SplitTree(NamedTuple):
    """The two parts."""

    main: FileTree
    documentation: FileTree


def split_documentation(tree: FileTree) -> SplitTree:
    """Cut a tree in two.  Directories go with what they hold; one that is empty anyway stays with the main part.

    Files that have other names by hard link stay: neither part may need the other's files.
    """
    kept = {entry.path for entry in tree.entries if entry.type is not EntryType.DIRECTORY and not _is_documentation(entry)}
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


def _is_documentation(entry: Entry) -> bool:
    path = entry.path
    if not path.startswith(PLACES):
        return False
    if not path.startswith(_LICENCES):
        return True
    # A link that is the whole directory leads to another package's copyright file.
    name = path.rpartition("/")[2]
    whole = entry.type is EntryType.SYMLINK and path.count("/") == 3
    return not (name.lower().startswith(("copyright", "license", "licence", "notice")) or whole)


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
