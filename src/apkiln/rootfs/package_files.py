"""What the planning of a tree must know of one package: its head, its paths and its directories, in compact form.

The long part (mode, ids, digests of every file) is decoded only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.archive.entry import ContentEntry, EntryType
from apkiln.rootfs.directory import Directory as Directory
from apkiln.rootfs.installed_text import DatabaseLines, FileLine, files_text, head_text

DEVICE_TYPES = frozenset({EntryType.CHARACTER, EntryType.BLOCK, EntryType.FIFO})
"""Entries a package may ship only when the policy says so."""


class PackageHead(NamedTuple):
    """A package without its paths: the other fields of PackageContents, under the same names."""

    info: PackageInfo
    identity: bytes
    sha256: bytes
    size: int
    sections: tuple[tuple[int, int], ...]
    scripts: tuple[tuple[str, bytes], ...]
    signatures: tuple[tuple[str, str, bytes], ...]

    @classmethod
    def of(cls, contents: PackageContents) -> PackageHead:
        return cls(
            contents.info,
            contents.identity,
            contents.sha256,
            contents.size,
            contents.sections,
            contents.scripts,
            contents.signatures,
        )

    def contents(self, entries: tuple[ContentEntry, ...] = ()) -> PackageContents:
        """The whole package again, given its entries."""
        return PackageContents(*self, entries)


class PackageFiles:
    """The paths of one package.  Immutable; two are equal when their `.apk` files are.

    Obtain it with `PackageFiles.of` (from a complete read) or from a stored segment (`rootfs.segments`).
    """

    __slots__ = ("_database_lines", "_entries", "_load", "devices", "directories", "head", "paths", "symlinks")

    head: PackageHead
    paths: tuple[str, ...]
    """Everything but directories, in archive order, as shipped."""
    symlinks: tuple[tuple[str, str], ...]
    """(path, link text) of the symlinks among `paths`."""
    directories: tuple[Directory, ...]
    """In archive order (parents first), as shipped."""
    devices: tuple[str, ...]
    """The character devices, block devices and fifos among `paths`."""

    def __init__(
        self,
        head: PackageHead,
        paths: tuple[str, ...],
        symlinks: tuple[tuple[str, str], ...],
        directories: tuple[Directory, ...],
        devices: tuple[str, ...],
        load: Callable[[], tuple[ContentEntry, ...]],
        database_lines: DatabaseLines | None = None,
    ) -> None:
        self.head = head
        self.paths = paths
        self.symlinks = symlinks
        self.directories = directories
        self.devices = devices
        self._load = load
        """Gives the full records of `paths`, in that order."""
        self._database_lines = database_lines
        self._entries: dict[str, ContentEntry] | None = None

    @classmethod
    def of(cls, contents: PackageContents) -> PackageFiles:
        """The compact form of a complete read."""
        others = tuple(item for item in contents.entries if item.entry.type is not EntryType.DIRECTORY)
        return cls(
            PackageHead.of(contents),
            tuple(item.entry.path for item in others),
            tuple((item.entry.path, item.entry.target) for item in others if item.entry.type is EntryType.SYMLINK),
            tuple(Directory.of(item.entry) for item in contents.entries if item.entry.type is EntryType.DIRECTORY),
            tuple(item.entry.path for item in others if item.entry.type in DEVICE_TYPES),
            lambda: others,
        )

    @classmethod
    def of_tree(cls, sha256: bytes, entries: tuple[ContentEntry, ...], directories: tuple[Directory, ...]) -> PackageFiles:
        """A tree that is no package's, seen as one: under a name that no package can have, giving way wherever it may.

        `entries`: everything but directories.  `sha256`: see equality.
        """
        info = PackageInfo("the base", "image", "", replaces_priority=-1)
        return cls(
            PackageHead(info, b"", sha256, 0, (), (), ()),
            tuple(item.entry.path for item in entries),
            tuple((item.entry.path, item.entry.target) for item in entries if item.entry.type is EntryType.SYMLINK),
            directories,
            (),
            lambda: entries,
        )

    @property
    def name(self) -> str:
        return self.head.info.name

    @property
    def name_version(self) -> str:
        return self.head.info.name_version

    def entry(self, path: str) -> ContentEntry:
        """The full record of one of `paths`; KeyError for other paths."""
        return self._table()[path]

    def entries(self) -> tuple[ContentEntry, ...]:
        """The full records of `paths`, in that order."""
        return tuple(self._table().values())

    def content_entry(self, path: str) -> ContentEntry:
        """The record that holds the content of `path`: the file a hard link names (through other links too), any other path's
        own record."""
        found = self.entry(path)
        while found.entry.type is EntryType.HARDLINK:
            found = self.entry(found.entry.target)
        return found

    def database_lines(self) -> DatabaseLines:
        """The record of the package in the installed database when it has all its paths where it ships them."""
        if self._database_lines is None:
            lines = [FileLine.of(item, self.content_entry(item.entry.path), item.entry.path) for item in self.entries()]
            head = head_text(self.head.contents())
            self._database_lines = DatabaseLines(head, files_text(self.directories, lines))
        return self._database_lines

    def _table(self) -> dict[str, ContentEntry]:
        if self._entries is None:
            self._entries = {item.entry.path: item for item in self._load()}
        return self._entries

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackageFiles) and other.head.sha256 == self.head.sha256

    def __hash__(self) -> int:
        return hash(self.head.sha256)

    def __repr__(self) -> str:
        return f"PackageFiles({self.name_version})"
