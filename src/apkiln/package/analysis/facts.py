"""What one reading of a file tree tells (spec package.md §13, §14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from apkiln.core.value import value
from apkiln.formats.archive.entry import Entry
from apkiln.formats.elf import ElfFacts


class FileFacts(NamedTuple):
    """What the content of one file says; a file about which there is nothing to say has none."""

    elf: ElfFacts | None = None
    first_line: bytes = b""
    """The first 256 bytes at most, cut at the first line feed, of a file that begins with `#!`."""
    text: bytes = b""
    """The whole content of files that a rule reads as text (pkg-config, linker paths)."""
    kernel: str = ""
    """Version of a kernel image, or the one that a kernel module is for."""
    sha256: bytes = b""
    """Raw; only where another file of the tree could be the same."""
    marks: tuple[str, ...] = ()
    """`build-path`, `private-key`, `too-large`: see `observing`."""


NOTHING = FileFacts()


@value
class TreeFacts:
    """The entries of one package and what their contents say."""

    package: str
    entries: tuple[Entry, ...]
    """In the order of a walk."""
    files: Mapping[str, FileFacts]
    """By path of a FILE.  Not to be changed."""
