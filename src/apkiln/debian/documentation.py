"""What people read, split off into a package of its own; copyright files stay (spec debian.md §9 "doc, man, locale, info")."""

from __future__ import annotations

from apkiln.debian.file_tree import FileTree
from apkiln.debian.splitting import SplitTree, split_tree
from apkiln.formats.archive.entry import Entry, EntryType

PLACES = (
    "usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/doc-base/",
    "usr/share/bug/", "usr/share/gtk-doc/", "usr/share/help/",
)  # fmt: skip
_LICENCES = "usr/share/doc/"


def split_documentation(tree: FileTree) -> SplitTree:
    """Cut a tree in two: programs, and what people read."""
    return split_tree(tree, _is_documentation)


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
