"""The `.deb` container, version 2.0: control files and the data archive (deb(5); spec debian.md §9 "Members")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from apkiln.core.errors import NOWHERE, FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import FOREIGN
from apkiln.formats.deb import ar
from apkiln.formats.deb.compression import Window, decompressed
from apkiln.formats.deb.deb822 import Stanza, parse_stanza

SUFFIXES = ("", ".gz", ".xz", ".zst")
"""Compressions of control and data that are read."""
MAXIMUM_CONTROL_FILES = 100


@dataclass(frozen=True, slots=True)
class ControlFile:
    """One file of the control member."""

    name: str
    """For example `control`, `md5sums`, `postinst`."""
    content: bytes
    mtime: int


@dataclass(frozen=True, slots=True)
class DebControl:
    """The control member of a package."""

    fields: Stanza
    """The `control` file."""
    files: tuple[ControlFile, ...]
    """All of its files, `control` included, by name."""

    def file(self, name: str) -> bytes | None:
        """Content of a control file, None when absent."""
        return next((item.content for item in self.files if item.name == name), None)

    @property
    def newest(self) -> int:
        """Newest modification time in the member: the build date of a conversion (spec debian.md §2)."""
        return max(item.mtime for item in self.files)


class DebReader:
    """An open `.deb`.  `stream` is seekable and stays the caller's; one use at a time."""

    def __init__(self, stream: BinaryIO, limits: Limits = DEFAULT_LIMITS, origin: Origin = NOWHERE) -> None:
        self._stream = stream
        self._limits = limits
        self._origin = origin
        self._control, self._data = self._members()

    def control(self) -> DebControl:
        """The control member, read whole (bounded by `control_decompressed`).

        Raises FormatError: `deb-format`, `deb-compression`, `deb-too-large`, …, those of the tar reader and of control data.
        """
        reader = self._reader(self._control, self._limits.control_decompressed, "control")
        found: list[ControlFile] = []
        for entry in reader:
            if entry.type is EntryType.DIRECTORY:
                continue
            if entry.type is not EntryType.FILE or "/" in entry.path or len(found) == MAXIMUM_CONTROL_FILES:
                raise reader.fault(f"`{entry.path}` has no place in a control member", "deb-format")
            found.append(ControlFile(entry.path, b"".join(reader.content()), entry.mtime))
        names = [item.name for item in found]
        if len(set(names)) != len(names) or "control" not in names:
            raise self._fault("the control member has no `control` file, or a file twice")
        control = next(item for item in found if item.name == "control")
        fields = parse_stanza(control.content, Origin(self._origin.source, member="control/control"))
        return DebControl(fields, tuple(sorted(found, key=lambda item: item.name)))

    def data(self) -> TarReader:
        """A reader of the data member; paths are without `./`.  Errors as `control`."""
        return self._reader(self._data, self._limits.data_decompressed, "data")

    def _members(self) -> tuple[ar.Member, ar.Member]:
        members = [item for item in ar.read_members(self._stream, self._origin) if not item.name.startswith("_")]
        if len(members) != 3 or members[0].name != "debian-binary":
            raise self._fault("the members are not `debian-binary`, control and data")
        version, control, data = members
        if version.size > 16 or Window(self._stream, version.offset, version.size).read() != b"2.0\n":
            raise self._fault("the format version is not 2.0")
        if control.name.removeprefix("control.tar") not in SUFFIXES or data.name.removeprefix("data.tar") not in SUFFIXES:
            raise self._fault(f"`{control.name}` and `{data.name}` are not a control and a data member", "deb-compression")
        return control, data

    def _reader(self, member: ar.Member, limit: int, section: str) -> TarReader:
        suffix = member.name.removeprefix(f"{section}.tar")
        place = Origin(member=section).filled(self._origin)
        window = Window(self._stream, member.offset, member.size)
        return TarReader(decompressed(window, suffix, limit, self._limits, place), FOREIGN, self._limits, section=section)

    def _fault(self, message: str, reason: str = "deb-format") -> FormatError:
        return FormatError(message, reason=reason, origin=self._origin)
