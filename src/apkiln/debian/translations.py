"""Changes of single packages that no script asks for (spec debian.md §10).  Each stands here in full."""

from __future__ import annotations

from collections.abc import Callable

from apkiln.debian.file_tree import FileTree

VARIANT = b"VARIANT_ID=apkiln-import\n"
"""Added to os-release: the image is Debian's software in another form, and says so (§10)."""
_OS_RELEASE = "usr/lib/os-release"


def translate(package: str, tree: FileTree, newest: int) -> FileTree:
    """The tree with the change of its package; the same for most packages."""
    translation = _TRANSLATIONS.get(package)
    return translation(tree, newest) if translation else tree


def _base_files(tree: FileTree, newest: int) -> FileTree:
    """The mark in os-release; everything else comes from its script."""
    content = tree.contents.get(_OS_RELEASE)
    if content is None or VARIANT in content:
        return tree
    contents = {**tree.contents, _OS_RELEASE: content + VARIANT}
    entries = (entry._replace(size=len(contents[_OS_RELEASE])) if entry.path == _OS_RELEASE else entry for entry in tree.entries)
    return FileTree(tuple(entries), contents, tree.moved)


_TRANSLATIONS: dict[str, Callable[[FileTree, int], FileTree]] = {"base-files": _base_files}
