"""Where a stored image lies: a directory or an uncompressed tar archive of named files, seen as one thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import RawIOBase
from pathlib import PurePath

from apkiln.core.errors import FormatError, UnavailableError
from apkiln.core.limits import Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.protocol import Protocol
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import FOREIGN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any, BinaryIO

    from apkiln.system.files import FileReader

_CHUNK = 1024 * 1024


class Place(Protocol):
    """Files by name.  Names are relative paths."""

    name: str
    """Of the directory or archive, for messages."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, None when it is not there."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A reader at its beginning.  Raises UnavailableError `missing-blob`."""

    def read(self, name: str, limit: int) -> bytes:
        """The whole file.  Raises UnavailableError `missing-blob`, FormatError `file-too-large`."""

    def names(self, directory: str) -> tuple[str, ...]:
        """Names of the files directly in a directory, sorted; empty when it is not there."""


def open_place(files: FileReader, path: PurePath, limits: Limits) -> Place:
    """The place at `path`.

    Raises UnavailableError (`missing-file`), FormatError (`compressed-archive`, `archive-repeats-name`, and the reasons of
    the tar reader).  An archive is read through once for its table of contents.
    """
    status = files.status(path)
    if status is None:
        raise UnavailableError("there is nothing here", reason="missing-file", origin=Origin(str(path)))
    if status.is_directory:
        return DirectoryPlace(files, path)
    return ArchivePlace(files, path, limits)


class DirectoryPlace:
    """An OCI layout, or an unpacked docker archive, on disk."""

    def __init__(self, files: FileReader, path: PurePath) -> None:
        self._files = files
        self._path = path
        self.name = str(path)

    def size(self, name: str) -> int | None:
        status = self._files.status(self._path / paths.check(name))
        return status.size if status is not None and status.is_file else None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        if self.size(name) is None:
            raise _missing(self.name, name)
        with self._files.open(self._path / name) as stream:
            yield stream

    def read(self, name: str, limit: int) -> bytes:
        if self.size(name) is None:
            raise _missing(self.name, name)
        return self._files.read(self._path / name, limit)

    def names(self, directory: str) -> tuple[str, ...]:
        where = self._path / directory if directory else self._path
        status = self._files.status(where)
        if status is None or not status.is_directory:
            return ()
        return tuple(name for name in self._files.list(where) if self.size(paths.join(directory, name)) is not None)


class _Member(NamedTuple):
    """Where a file lies in an archive."""

    offset: int
    size: int


class ArchivePlace:
    """The same in one tar file, as `docker save`, `podman save` and `skopeo` write it."""

    def __init__(self, files: FileReader, path: PurePath, limits: Limits) -> None:
        self._files = files
        self._path = path
        self.name = str(path)
        self._members = self._table(limits)

    def size(self, name: str) -> int | None:
        member = self._members.get(name)
        return member.size if member else None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        member = self._members.get(name)
        if member is None:
            raise _missing(self.name, name)
        with self._files.open(self._path) as stream:
            stream.seek(member.offset)
            part: Any = _Slice(stream, member.size)
            yield part

    def read(self, name: str, limit: int) -> bytes:
        with self.open(name) as stream:
            if self._members[name].size > limit:
                message = f"`{name}` is larger than {limit} bytes"
                raise FormatError(message, reason="file-too-large", origin=Origin(self.name, member=name))
            return stream.read(limit)

    def names(self, directory: str) -> tuple[str, ...]:
        return tuple(sorted(name.rpartition("/")[2] for name in self._members if paths.parent(name) == directory))

    def _table(self, limits: Limits) -> Mapping[str, _Member]:
        members: dict[str, _Member] = {}
        links: dict[str, str] = {}
        with self._files.open(self._path) as stream:
            reader = TarReader(_chunks(stream, self.name), FOREIGN, limits, section=self.name)
            for entry in reader:
                if entry.path in members or entry.path in links:
                    place = Origin(self.name, member=entry.path)
                    raise FormatError("the archive holds this name twice", reason="archive-repeats-name", origin=place)
                if entry.type is EntryType.FILE:
                    members[entry.path] = _Member(reader.offset, entry.size)
                elif entry.type is EntryType.SYMLINK:
                    links[entry.path] = paths.resolve_target(entry.path, entry.target) or ""
                elif entry.type is EntryType.HARDLINK:
                    links[entry.path] = entry.target
        # Old versions of docker link a layer that an image uses twice.
        return members | {name: members[target] for name, target in links.items() if target in members}


class _Slice(RawIOBase):
    """The next `size` bytes of a stream as a stream."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._stream.read(wanted) if wanted else b""
        self._left -= len(data)
        return data


def _chunks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    first = stream.read(_CHUNK)
    if first.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")):
        message = "the archive is compressed as a whole"
        hint = "decompress it first, for example with `gunzip` or `zstd -d`"
        raise FormatError(message, reason="compressed-archive", origin=Origin(name), hint=hint)
    while first:
        yield first
        first = stream.read(_CHUNK)


def _missing(place: str, name: str) -> UnavailableError:
    return UnavailableError(f"`{name}` is missing", reason="missing-blob", origin=Origin(place))
