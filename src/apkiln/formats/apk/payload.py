"""The order and the digests of what a package ships (spec apk.md §2.4, order (b); package.md §10.2, §10.4)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from apkiln.core.errors import FaultCollector, FormatError
from apkiln.core.limits import KIB, MIB
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.policy import PackagePolicy
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import fault as path_fault
from apkiln.formats.archive.plain_header import PlainHeaders
from apkiln.formats.archive.structure import Structure
from apkiln.formats.archive.tar_writer import PACKAGE, header, padding

CHECKSUM = "APK-TOOLS.checksum.SHA1"
"""PAX keyword of a file's digest: 40 hex digits."""
ContentReader = Callable[[str], Iterable[bytes]]
"""Path of a FILE entry → its content in chunks; called a second time for files over `KEPT`."""
_PLAIN = PlainHeaders(CHECKSUM)
_SMALL = 64 * KIB
"""Files up to this size are handed on in one piece with their headers."""
KEPT = 16 * MIB
"""Files up to this size are read once (spec performance.md §3.7)."""


class Item(NamedTuple):
    """One entry in its final form, and where its content comes from."""

    entry: Entry
    source: str
    """The path to ask a ContentReader for; differs from the entry's when the name of a linked file was exchanged."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A checked payload in writing order."""

    directories: tuple[Entry, ...]
    """Parents first."""
    others: tuple[Item, ...]
    """Depth first, the entries of one directory sorted bytewise."""
    installed_size: int
    """Bytes of regular files, each inode once."""

    @classmethod
    def of(cls, entries: Iterable[Entry], policy: PackagePolicy) -> Payload:
        """Order and check entries given in any order.

        Of the names of one file the first in writing order carries the content, the others are hard links to it.  All faults
        are raised together: FormatError with the reasons of `path.fault`, `Structure.add`, `PackagePolicy.refusal`,
        `data-dot-name`, `tar-type-not-allowed`.
        """
        ordered = sorted(entries, key=lambda entry: _walk_key(entry.path))
        directories = tuple(entry for entry in ordered if entry.type is EntryType.DIRECTORY)
        others = tuple(_first_names([entry for entry in ordered if entry.type is not EntryType.DIRECTORY]))
        _check((*directories, *(item.entry for item in others)), policy)
        size = sum(item.entry.size for item in others if item.entry.type is EntryType.FILE)
        return cls(directories, others, size)


def _walk_key(path: str) -> list[bytes]:
    """Key of a depth-first walk that takes the entries of each directory bytewise."""
    return path.encode("utf-8", "surrogateescape").split(b"/")


def _first_names(ordered: list[Entry]) -> Iterator[Item]:
    """Exchange names so that of each linked group the first in order is the FILE."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for entry in ordered:
        if entry.type is EntryType.HARDLINK:
            groups[entry.target].append(entry.path)
    files = {entry.path: entry for entry in ordered if entry.type is EntryType.FILE and entry.path in groups}
    first = {path: min([path, *groups[path]], key=_walk_key) for path in files}
    for entry in ordered:
        source = entry.target if entry.type is EntryType.HARDLINK else entry.path
        if source not in files:
            yield Item(entry, entry.path)
        elif entry.path == first[source]:
            yield Item(files[source]._replace(path=entry.path), source)
        else:
            link = files[source]._replace(path=entry.path, type=EntryType.HARDLINK, size=0, target=first[source], xattrs=())
            yield Item(link, source)


def _check(entries: tuple[Entry, ...], policy: PackagePolicy) -> None:
    faults = FaultCollector.empty()
    structure = Structure()
    for entry in entries:
        reason = path_fault(entry.path)
        if not reason and entry.path.startswith(".") and "/" not in entry.path:
            reason = "data-dot-name"
        if not reason and entry.type not in PACKAGE.types:
            reason = "tar-type-not-allowed"
        reason = reason or policy.refusal(entry) or structure.add(entry)
        if reason:
            message = f"`{entry.path}` breaks the rule `{reason}`"
            faults.add(FormatError(message, reason=reason, origin=Origin(member=f"data/{entry.path}")))
    faults.raise_if_any()


def directory_stream(payload: Payload) -> Iterator[bytes]:
    """Tar headers of the directories."""
    return (header(entry, PACKAGE) for entry in payload.directories)


def other_stream(payload: Payload, content: ContentReader) -> Iterator[bytes]:
    """Tar headers and contents of everything else, each with its digest.

    FormatError `content-size` when a content has another length than its entry says, `content-changed` when a large file
    differs between the two readings it takes.
    """
    digests: dict[str, str] = {}
    for item in payload.others:
        entry = item.entry
        if entry.type is EntryType.FILE:
            chunks = content(item.source)
            if type(chunks) is tuple and len(chunks) == 1 and len(chunks[0]) == entry.size <= _SMALL:
                yield _small_file(entry, chunks[0], digests)
            else:
                yield from _file(item, chunks, content, digests)
        elif entry.type is EntryType.HARDLINK:
            yield header(_stated(entry, digests[entry.target]), PACKAGE)
        elif entry.type is EntryType.SYMLINK:
            digest = hashlib.sha1(entry.target.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
            yield header(_stated(entry, digest), PACKAGE)
        else:
            yield header(entry, PACKAGE)


def _small_file(entry: Entry, content: bytes, digests: dict[str, str]) -> bytes:
    digest = digests[entry.path] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    head = _PLAIN.header(entry, digest) or header(_stated(entry, digest), PACKAGE)
    return b"".join((head, content, padding(entry.size)))


def _file(item: Item, chunks: Iterable[bytes], content: ContentReader, digests: dict[str, str]) -> Iterator[bytes]:
    entry, hasher, size = item.entry, hashlib.sha1(usedforsecurity=False), 0
    kept: list[bytes] = []
    for chunk in chunks:
        hasher.update(chunk)
        size += len(chunk)
        if entry.size <= KEPT and size <= entry.size:
            kept.append(chunk)
    if size != entry.size:
        raise _content_fault(entry, f"the content has {size} bytes, its entry says {entry.size}", "content-size")
    digest = digests[entry.path] = hasher.hexdigest()
    head = _PLAIN.header(entry, digest) or header(_stated(entry, digest), PACKAGE)
    if entry.size <= _SMALL:
        yield b"".join((head, *kept, padding(entry.size)))
        return
    yield head
    if entry.size <= KEPT:
        yield from kept
    else:
        yield from _again(item, content, digest)
    yield padding(entry.size)


def _again(item: Item, content: ContentReader, expected: str) -> Iterator[bytes]:
    hasher = hashlib.sha1(usedforsecurity=False)
    for chunk in content(item.source):
        hasher.update(chunk)
        yield chunk
    if hasher.hexdigest() != expected:
        raise _content_fault(item.entry, "the content changed while it was packed", "content-changed")


def _content_fault(entry: Entry, message: str, reason: str) -> FormatError:
    return FormatError(message, reason=reason, origin=Origin(member=f"data/{entry.path}"))


def _stated(entry: Entry, digest: str) -> Entry:
    """`entry` with its digest record in place of one it may have had."""
    others = [pair for pair in entry.pax if pair[0] != CHECKSUM]
    return entry._replace(pax=tuple(sorted([*others, (CHECKSUM, digest)])))
