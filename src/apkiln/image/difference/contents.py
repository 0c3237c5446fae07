"""What is compared: a lock, a plan or an image as plain rows."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import value
from apkiln.image.configuration.model import Pairs

UNKNOWN = "\0"
"""The value of a setting that is there, and that a side cannot tell: no difference from any other value."""


class PackageRow(NamedTuple):
    """One installed, or locked, package."""

    name: str
    version: str
    origin: str = ""
    identity: str = ""
    """`Q1…`; empty = not known."""
    license: str = ""
    """Empty = not known, as in locks."""


class FileRow(NamedTuple):
    """One path of an image."""

    path: str
    type: str
    """`file`, `directory`, `symlink` …; a hard link counts as the file it names."""
    mode: int
    uid: int
    gid: int
    size: int = 0
    content: str = ""
    """Hex SHA-256 of a file, target of a symlink, numbers of a device."""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    package: str = ""
    """Name of the package that owns it; empty = generated, or a directory."""


@value
class ArchitectureContents:
    """One architecture."""

    arch: str
    """apk name."""
    packages: tuple[PackageRow, ...]
    """By name."""
    files: tuple[FileRow, ...] = ()
    """By path; none where only packages are known."""
    settings: Pairs = ()
    """Configuration as key and value, by key."""


@value
class Contents:
    """One side of a comparison."""

    name: str
    """Path of the lock or image, for people."""
    architectures: tuple[ArchitectureContents, ...]
    """By apk name."""
    settings: Pairs = ()
    """What holds for all architectures, by key."""
    has_files: bool = False
