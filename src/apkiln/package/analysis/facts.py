"""What one reading of a file tree tells (spec package.md §13, §14)."""

from __future__ import annotations

from collections.abc import Mapping

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.formats.archive.entry import Entry
from apkiln.formats.elf import ElfObject

BUILD_PATH = "build-path"
"""The directory of the build stands in the content."""
PRIVATE_KEY = "private-key"
"""It begins as a private key does."""
DAMAGED_ELF = "damaged-elf"
"""It begins as ELF and is none."""
PLAIN_TEXT = "plain-text"
"""Text without `#!`; only looked at where the file may be executed."""
TOO_LARGE = "too-large"
"""Its content was not examined as a whole."""


class FileFacts(NamedTuple):
    """What the content of one file says."""

    elf: ElfObject | None = None
    first_line: bytes = b""
    """The first 256 bytes at most, cut at the first line feed, of a file that begins with `#!`."""
    text: bytes = b""
    """The whole content of files that a rule reads as text (pkg-config, linker paths)."""
    kernel: str = ""
    """Version of a kernel image, or the one that a kernel module is for."""
    sha256: bytes = b""
    """Raw; only where another file of the tree could be the same."""
    go: tuple[tuple[str, str], ...] = ()
    """Settings of the build of a Go program, by name."""
    marks: tuple[str, ...] = ()
    """Constants of this module, sorted."""


NOTHING = FileFacts()


@value
class TreeFacts:
    """The entries of one package and what their contents say."""

    package: str
    entries: tuple[Entry, ...]
    """In the order of a walk: each directory before its content, names bytewise."""
    files: Mapping[str, FileFacts]
    """By path of a FILE; those about which there is nothing to say are absent.  Not to be changed."""

    def of(self, path: str) -> FileFacts:
        """Facts of the FILE at a path."""
        return self.files.get(path, NOTHING)
