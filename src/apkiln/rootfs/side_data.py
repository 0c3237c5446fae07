"""The stored form of what is known of a segment beside its bytes (spec performance.md §3.1).

Two rows: the head (package, paths, directories, digests of the blobs), read for every package of every build, and the
entries (mode, ids, digests, positions), read when a file is asked for.  Texts are joined with line feeds, which no path or
link text may hold; numbers are fixed-width records; the rest is one JSON line.  Decoding trusts the row: the store checks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from struct import Struct

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import field_names
from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.installed_text import DatabaseLines
from apkiln.rootfs.package_files import PackageHead
from apkiln.rootfs.segment_data import SegmentData, data_of_row, data_row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = "s1"
"""Version of the rows' form; it stands in every segment key, so rows of another form are never decoded."""
CHECKSUM_RECORD = "APK-TOOLS.checksum.SHA1"
"""The PAX record of the package format that says what the SHA-1 field says already."""


class Position(NamedTuple):
    """Where an entry lies in the tar slice of its segment; offsets in bytes."""

    header: int
    """Begin of the header blocks."""
    content: int
    """Begin of the content; also the end of the headers."""
    end: int
    """End of the padded content."""


class HeadRow(NamedTuple):
    """Everything the head row holds."""

    head: PackageHead
    data: SegmentData
    paths: tuple[str, ...]
    symlinks: tuple[tuple[str, str], ...]
    directories: tuple[Directory, ...]
    devices: tuple[str, ...]
    database: DatabaseLines
    """The package's record of the installed database when it has all its paths."""


_DIRECTORY = Struct("<HIIq")
_ENTRY = Struct("<cHHIIqQQQII20s32s")
_LENGTHS = Struct("<IIIIIII")
_INFO_FIELDS = field_names(PackageInfo)
_TYPES = {kind.value.encode(): kind for kind in EntryType}


def encode_head(row: HeadRow) -> bytes:
    """The head row as bytes."""
    head, data = row.head, row.data
    document = {
        "info": [getattr(head.info, name) for name in _INFO_FIELDS],
        "head": [head.identity.hex(), head.sha256.hex(), head.size, head.sections],
        "scripts": [[name, len(text)] for name, text in head.scripts],
        "signatures": [[algorithm, name, value.hex()] for algorithm, name, value in head.signatures],
        "data": data_row(data),
        "devices": row.devices,
        "xattrs": _encode_xattrs(directory.xattrs for directory in row.directories),
    }
    sections = (
        json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
        _joined(row.paths),
        _joined(text for pair in row.symlinks for text in pair),
        _joined(directory.path for directory in row.directories),
        b"".join([_DIRECTORY.pack(item.mode, item.uid, item.gid, item.mtime) for item in row.directories]),
        b"".join([text for _, text in head.scripts]),
        row.database.head,
    )
    return _LENGTHS.pack(*map(len, sections)) + b"".join(sections) + row.database.files


def decode_head(data: bytes) -> HeadRow:
    """The inverse of `encode_head`."""
    begin = _LENGTHS.size
    sections = []
    for length in _LENGTHS.unpack_from(data):
        sections.append(data[begin : begin + length])
        begin += length
    document = json.loads(sections[0])
    links = _split(sections[2])
    return HeadRow(
        _head(document, sections[5]),
        data_of_row(document["data"]),
        _split(sections[1]),
        tuple(zip(links[::2], links[1::2], strict=True)),
        _directories(_split(sections[3]), sections[4], document["xattrs"]),
        tuple(document["devices"]),
        DatabaseLines(sections[6], data[begin:]),
    )


def encode_entries(entries: Sequence[ContentEntry], positions: Sequence[Position]) -> bytes:
    """The entries row: everything but directories, in archive order; their paths stand in the head row."""
    owners: dict[tuple[str, str], int] = {}
    for item in entries:
        owners.setdefault((item.entry.uname, item.entry.gname), len(owners))
    document = {
        "owners": list(owners),
        "targets": [item.entry.target for item in entries if item.entry.target],
        "xattrs": _encode_xattrs(item.entry.xattrs for item in entries),
        "pax": {str(index): item.entry.pax for index, item in enumerate(entries) if _has_foreign_pax(item)},
        "checksums": [index for index, item in enumerate(entries) if item.sha1 and not _has_checksum(item)],
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    records = [_record(item, place, owners) for item, place in zip(entries, positions, strict=True)]
    return _LENGTHS.pack(len(text), 0, 0, 0, 0, 0, 0) + text + b"".join(records)


def decode_entries(data: bytes, paths: Sequence[str]) -> tuple[tuple[ContentEntry, ...], tuple[Position, ...]]:
    """The inverse of `encode_entries`, given the paths of the head row."""
    begin = _LENGTHS.size + _LENGTHS.unpack_from(data)[0]
    document = json.loads(data[_LENGTHS.size : begin])
    owners = [(uname, gname) for uname, gname in document["owners"]]
    targets = iter(document["targets"])
    xattrs, pax, without_checksum = _decode_xattrs(document["xattrs"]), document["pax"], frozenset(document["checksums"])
    entries, positions = [], []
    for index, (path, record) in enumerate(zip(paths, _ENTRY.iter_unpack(data[begin:]), strict=True)):
        kind, mode, owner, uid, gid, mtime, size, header, content, major, minor, sha1, sha256 = record
        entry_type = _TYPES[kind]
        sha1, sha256 = _digests(entry_type, sha1, sha256)
        target = next(targets) if entry_type in (EntryType.SYMLINK, EntryType.HARDLINK) else ""
        records: tuple[tuple[str, str], ...] = ()
        if str(index) in pax:
            records = tuple((key, value) for key, value in pax[str(index)])
        elif sha1 and index not in without_checksum:
            records = ((CHECKSUM_RECORD, sha1.hex()),)
        uname, gname = owners[owner]
        device, attributes = (major, minor), xattrs.get(index, ())
        entry = Entry(path, entry_type, mode, uid, gid, uname, gname, size, mtime, target, device, attributes, records)
        entries.append(ContentEntry(entry, sha1, sha256))
        positions.append(Position(header, content, content + size + -size % 512))
    return tuple(entries), tuple(positions)


def _record(item: ContentEntry, place: Position, owners: dict[tuple[str, str], int]) -> bytes:
    entry = item.entry
    return _ENTRY.pack(
        entry.type.value.encode(), entry.mode, owners[entry.uname, entry.gname], entry.uid, entry.gid, entry.mtime, entry.size,
        place.header, place.content, *entry.device, item.sha1, item.sha256,
    )  # fmt: skip


def _digests(kind: EntryType, sha1: bytes, sha256: bytes) -> tuple[bytes, bytes]:
    """Absent digests are stored as zeros; which are absent follows from the type (see ContentEntry)."""
    if kind is EntryType.FILE:
        return sha1, sha256
    return (sha1, b"") if kind is EntryType.SYMLINK else (b"", b"")


def _has_checksum(item: ContentEntry) -> bool:
    return item.entry.pax == ((CHECKSUM_RECORD, item.sha1.hex()),)


def _has_foreign_pax(item: ContentEntry) -> bool:
    return bool(item.entry.pax) and not (item.sha1 and _has_checksum(item))


def _encode_xattrs(all_xattrs: Iterable[tuple[tuple[str, bytes], ...]]) -> dict[str, list[list[str]]]:
    return {str(index): [[name, value.hex()] for name, value in xattrs] for index, xattrs in enumerate(all_xattrs) if xattrs}


def _decode_xattrs(stored: dict[str, list[list[str]]]) -> dict[int, tuple[tuple[str, bytes], ...]]:
    return {int(index): tuple((name, bytes.fromhex(value)) for name, value in pairs) for index, pairs in stored.items()}


def _joined(texts: Iterable[str]) -> bytes:
    return "\n".join(texts).encode()


def _split(data: bytes) -> tuple[str, ...]:
    return tuple(data.decode().split("\n")) if data else ()


def _head(document: dict[str, Any], scripts: bytes) -> PackageHead:
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in document["info"]]
    identity, sha256, size, sections = document["head"]
    texts, begin = [], 0
    for name, length in document["scripts"]:
        texts.append((name, scripts[begin : begin + length]))
        begin += length
    return PackageHead(
        PackageInfo(*values),
        bytes.fromhex(identity),
        bytes.fromhex(sha256),
        size,
        tuple((offset, length) for offset, length in sections),
        tuple(texts),
        tuple((algorithm, name, bytes.fromhex(value)) for algorithm, name, value in document["signatures"]),
    )


def _directories(paths: Sequence[str], records: bytes, stored_xattrs: dict[str, list[list[str]]]) -> tuple[Directory, ...]:
    xattrs = _decode_xattrs(stored_xattrs)
    return tuple(
        Directory(path, mode, uid, gid, mtime, xattrs.get(index, ()))
        for index, (path, (mode, uid, gid, mtime)) in enumerate(zip(paths, _DIRECTORY.iter_unpack(records), strict=True))
    )
