"""Effects of maintainer scripts that are translated by hand for single packages (spec debian.md §8, §10).

Each translation is a change of the file tree that stands here in full; nothing of a script is run.
"""

from __future__ import annotations

from collections.abc import Callable

from apkiln.debian.file_tree import FileTree, with_files
from apkiln.formats.archive.entry import Entry, EntryType

VARIANT = b"VARIANT_ID=apkiln-import\n"
"""Added to os-release: the image is Debian's software in another form, and says so (§10)."""
_OS_RELEASE = "usr/lib/os-release"
_BASE_DIRECTORIES = (("media", 0o755), ("mnt", 0o755), ("opt", 0o755), ("srv", 0o755), ("run/lock", 0o1777))
_BASE_LINKS = (("var/run", "/run"), ("var/lock", "/run/lock"))


def translate(package: str, tree: FileTree, newest: int) -> FileTree:
    """The tree with the translated effects; unchanged for packages without a translation."""
    translation = _TRANSLATIONS.get(package)
    return translation(tree, newest) if translation else tree


def _base_files(tree: FileTree, newest: int) -> FileTree:
    """What its postinst makes: directories of the root, `/var/run` and `/var/lock` as links; and the mark in os-release."""
    replaced = {path for path, _ in _BASE_LINKS}
    kept = [entry for entry in tree.entries if entry.path not in replaced]
    contents = dict(tree.contents)
    if _OS_RELEASE in contents and VARIANT not in contents[_OS_RELEASE]:
        contents[_OS_RELEASE] = contents[_OS_RELEASE] + VARIANT
        kept = [entry._replace(size=len(contents[_OS_RELEASE])) if entry.path == _OS_RELEASE else entry for entry in kept]
    added = [(Entry(path, EntryType.DIRECTORY, mode, mtime=newest), b"") for path, mode in _BASE_DIRECTORIES]
    added += [(Entry(path, EntryType.SYMLINK, 0o777, mtime=newest, target=target), b"") for path, target in _BASE_LINKS]
    return with_files(FileTree(tuple(kept), contents, tree.moved), added, newest, "base-files")


_TRANSLATIONS: dict[str, Callable[[FileTree, int], FileTree]] = {"base-files": _base_files}
TRANSLATED = frozenset(_TRANSLATIONS)
"""Packages with a translation."""
