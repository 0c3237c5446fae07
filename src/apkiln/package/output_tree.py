"""What a build leaves for one package: a file tree that analysis and emission read (spec package.md §8.1 steps 12-15)."""

from __future__ import annotations

from apkiln.core.value import value
from apkiln.formats.apk.payload import ContentReader
from apkiln.formats.archive.entry import Entry


@value
class OutputTree:
    """The files of one package before they become an apk."""

    package: str
    """Name of the package."""
    entries: tuple[Entry, ...]
    """In any order; paths as in the package (no `./`, no entry for the root), exact sizes, ids as inside the sandbox, hard
    links as hard links."""
    content: ContentReader
    """Path of a FILE → its bytes in pieces.  Each call reads the file once."""
