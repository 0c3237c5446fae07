"""Archives that others publish sources in: tar, plain or compressed, and zip; told by their first bytes."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterator
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, MIB, Limits
from apkiln.core.origin import Origin
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import fault as path_fault
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import SOURCES
from apkiln.formats.deb.compression import Window, decompressed

_MAGIC = ((b"\x1f\x8b", ".gz"), (b"\xfd7zXZ\0", ".xz"), (b"\x28\xb5\x2f\xfd", ".zst"), (b"BZh", ".bz2"))
_ZIP = b"PK\x03\x04"
_LINK = 0o120000
_KIND = 0o170000
_MAXIMUM_LINK = 4096


def archive_kind(start: bytes) -> str:
    """`tar` or `zip` by the first 512 bytes; empty for neither.  What is compressed counts as a tar."""
    if start.startswith(_ZIP):
        return "zip"
    compressed = any(start.startswith(magic) for magic, _ in _MAGIC)
    return "tar" if compressed or start[257:262] == b"ustar" else ""


def foreign_entries(
    stream: BinaryIO, size: int, origin: Origin, limits: Limits = DEFAULT_LIMITS, *, strip_components: int = 0
) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """Every entry with its content, which is good until the next one.  `strip_components`: leading parts of every path that are
    left away, with those entries that have no more.

    Raises the FormatErrors of the tar reader and of the decompressors, `archive-format` for anything else, `archive-damaged`.
    """
    stream.seek(0)
    start = stream.read(512)
    stream.seek(0)
    kind = archive_kind(start)
    if not kind:
        raise FormatError("this is neither a tar nor a zip archive", reason="archive-format", origin=origin)
    found = _zip(stream, origin, limits) if kind == "zip" else _tar(stream, size, start, origin, limits)
    for entry, content in found:
        path = _stripped(entry.path, strip_components)
        if path:
            target = _stripped(entry.target, strip_components) if entry.type is EntryType.HARDLINK else entry.target
            yield entry._replace(path=path, target=target, pax=()), content


def _tar(stream: BinaryIO, size: int, start: bytes, origin: Origin, limits: Limits) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    suffix = next((name for magic, name in _MAGIC if start.startswith(magic)), "")
    chunks = decompressed(Window(stream, 0, size), suffix, limits.data_decompressed, limits, origin)
    reader = TarReader(chunks, SOURCES, limits)
    for entry in reader:
        yield entry, reader.content()


def _zip(stream: BinaryIO, origin: Origin, limits: Limits) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    try:
        with ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > limits.archive_entries or sum(one.file_size for one in members) > limits.data_decompressed:
                raise FormatError("the archive is larger than allowed here", reason="archive-too-large", origin=origin)
            for member in members:
                yield _zip_entry(archive, member, origin)
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise FormatError(f"the zip archive is damaged: {error}", reason="archive-damaged", origin=origin) from error


def _zip_entry(archive: ZipFile, member: ZipInfo, origin: Origin) -> tuple[Entry, Iterator[bytes]]:
    path = member.filename.rstrip("/")
    if wrong := path_fault(path):
        raise FormatError(f"`{path}`: {wrong}", reason="archive-path", origin=origin)
    mode, kind = (member.external_attr >> 16) & 0o7777, (member.external_attr >> 16) & _KIND
    mtime = timegm((*member.date_time, 0, 0, 0))
    if member.is_dir():
        return Entry(path, EntryType.DIRECTORY, mode or 0o755, mtime=mtime), iter(())
    if kind == _LINK:
        target = archive.read(member)[:_MAXIMUM_LINK].decode("utf-8", "replace")
        return Entry(path, EntryType.SYMLINK, 0o777, mtime=mtime, target=target), iter(())
    return Entry(path, EntryType.FILE, mode or 0o644, size=member.file_size, mtime=mtime), _content(archive, member, origin)


def _content(archive: ZipFile, member: ZipInfo, origin: Origin) -> Iterator[bytes]:
    """At most as many bytes as the directory of the archive says."""
    left = member.file_size
    with archive.open(member) as stream:
        while chunk := stream.read(MIB):
            left -= len(chunk)
            if left < 0:
                raise FormatError(f"`{member.filename}` is larger than it says", reason="archive-damaged", origin=origin)
            yield chunk


def _stripped(path: str, count: int) -> str:
    return "/".join(path.split("/")[count:])
