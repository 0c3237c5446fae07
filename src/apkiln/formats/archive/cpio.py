"""cpio `newc` archives, as initial RAM file systems are (spec image.md §13).

Hard links share an inode number and their data stands on the last of the names; inode numbers are sequential, so equal trees
give equal bytes.  The format carries no extended attributes and no owner names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, KIB, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import Entry, EntryType

_MAGIC = b"070701"
_HEADER = 110
_TRAILER = "TRAILER!!!"
_BLOCK = 512
_MOST = 0xFFFFFFFF
_CHUNK = 256 * KIB
_TYPE_BITS = {
    EntryType.FILE: 0o100000,
    EntryType.HARDLINK: 0o100000,
    EntryType.SYMLINK: 0o120000,
    EntryType.CHARACTER: 0o020000,
    EntryType.BLOCK: 0o060000,
    EntryType.DIRECTORY: 0o040000,
    EntryType.FIFO: 0o010000,
}
_TYPES = {bits: kind for kind, bits in _TYPE_BITS.items() if kind is not EntryType.HARDLINK}


class _Inode(NamedTuple):
    number: int
    entry: Entry
    """Of the FILE, or of the entry itself."""
    links: int
    last: str
    """The path on which the data stands."""


def cpio_stream(entries: Sequence[Entry], content: Callable[[str], Iterable[bytes]]) -> Iterator[bytes]:
    """The archive of `entries`, in their order (parents first; a hard link after its file).

    `content` is called once with the path of each FILE that is not empty.  Ends with the trailer, padded to 512 bytes.
    FormatError: reasons of `path.fault`, `cpio-link-target`, `cpio-too-large` (from 4 GiB), `cpio-field`, `cpio-content-size`.
    """
    written = 0
    for piece in _pieces(entries, content):
        written += len(piece)
        yield piece
    yield bytes(-written % _BLOCK)


def _pieces(entries: Sequence[Entry], content: Callable[[str], Iterable[bytes]]) -> Iterator[bytes]:
    inodes = _inodes(entries)
    for entry in entries:
        inode = inodes[entry.target if entry.type is EntryType.HARDLINK else entry.path]
        source = inode.entry
        if source.type is EntryType.SYMLINK:
            text = source.target.encode()
            yield from (_header(entry.path, inode, len(text)), text, bytes(-len(text) % 4))
        elif source.type is EntryType.FILE and entry.path == inode.last:
            yield _header(entry.path, inode, source.size)
            yield from _data(source, content)
        else:
            yield _header(entry.path, inode, 0)
    trailer = _Inode(0, Entry(_TRAILER, EntryType.FILE, 0), 1, "")
    yield _fields(_TRAILER, trailer, 0, type_bits=0)


def _inodes(entries: Sequence[Entry]) -> dict[str, _Inode]:
    """Inodes by the path of their first name."""
    found: dict[str, _Inode] = {}
    for entry in entries:
        paths.check(entry.path)
        if entry.type is not EntryType.HARDLINK:
            # A directory's link count is that of its subdirectories, which nothing reads; 1 depends on nothing.
            found[entry.path] = _Inode(len(found) + 1, entry, 1, entry.path)
            continue
        inode = found.get(entry.target)
        if inode is None or inode.entry.type is not EntryType.FILE:
            raise _fault(entry.path, f"`{entry.target}` is no earlier file", "cpio-link-target")
        found[entry.target] = inode._replace(links=inode.links + 1, last=entry.path)
    return found


def _data(entry: Entry, content: Callable[[str], Iterable[bytes]]) -> Iterator[bytes]:
    size = 0
    if entry.size:
        for chunk in content(entry.path):
            size += len(chunk)
            yield chunk
    if size != entry.size:
        raise _fault(entry.path, f"the content has {size} bytes, its entry says {entry.size}", "cpio-content-size")
    yield bytes(-size % 4)


def _header(path: str, inode: _Inode, size: int) -> bytes:
    return _fields(path, inode, size, type_bits=_TYPE_BITS[inode.entry.type])


def _fields(path: str, inode: _Inode, size: int, *, type_bits: int) -> bytes:
    entry = inode.entry
    try:
        name = path.encode() + b"\0"
    except UnicodeEncodeError:
        raise _fault(path, f"{path!r} is not UTF-8", "name-not-utf8") from None
    if size > _MOST:
        raise _fault(path, "a file of 4 GiB or more does not fit", "cpio-too-large")
    numbers = (
        inode.number, type_bits | entry.mode, entry.uid, entry.gid, inode.links, entry.mtime, size, 0, 0, *entry.device,
        len(name), 0,
    )  # fmt: skip
    if any(not 0 <= number <= _MOST for number in numbers):
        raise _fault(path, "a number has more than 32 bits", "cpio-field")
    head = _MAGIC + b"".join([b"%08X" % number for number in numbers]) + name
    return head + bytes(-len(head) % 4)


def _fault(path: str, message: str, reason: str, offset: int = -1) -> FormatError:
    return FormatError(message, reason=reason, origin=Origin(member=paths.printable(path), offset=offset))


class CpioMember(NamedTuple):
    """One name of an archive."""

    entry: Entry
    """FILE with size 0 for those names of a linked file that do not carry its data."""
    inode: int
    links: int


class CpioReader:
    """Members in order, forward only.

    Reasons: those of `path.fault`, and `cpio-magic`, `cpio-number`, `cpio-truncated`, `cpio-type`, `cpio-name`,
    `cpio-link-target`, `cpio-too-many-entries`, `cpio-data-after-end`.
    """

    def __init__(self, read: Callable[[int], bytes], limits: Limits = DEFAULT_LIMITS) -> None:
        self._read = read
        self._limits = limits
        self._offset = 0
        self._left = 0
        self._padding = 0
        self._path = ""

    def __iter__(self) -> Iterator[CpioMember]:
        count = 0
        while (member := self._next()) is not None:
            count += 1
            if count > self._limits.archive_entries:
                raise self._fault("too many entries", "cpio-too-many-entries")
            yield member

    def content(self) -> Iterator[bytes]:
        """Chunks of the current member's data; may be left early."""
        while self._left:
            chunk = self._exactly(min(self._left, _CHUNK))
            self._left -= len(chunk)
            yield chunk

    def _next(self) -> CpioMember | None:
        for _ in self.content():
            pass
        self._exactly(self._padding)
        numbers = self._numbers()
        name = self._exactly(numbers[11])
        self._exactly(-(_HEADER + len(name)) % 4)
        if not name.endswith(b"\0") or b"\0" in name[:-1]:
            raise self._fault("a name does not end with its only NUL", "cpio-name")
        self._path = name[:-1].decode("utf-8", "surrogateescape")
        if self._path == _TRAILER:
            self._end()
            return None
        self._left, self._padding = numbers[6], -numbers[6] % 4
        return CpioMember(self._entry(numbers), numbers[0], numbers[4])

    def _numbers(self) -> list[int]:
        self._path = ""
        header = self._exactly(_HEADER)
        if header[:6] != _MAGIC:
            raise self._fault("not a newc header", "cpio-magic")
        digits = header[6:]
        try:
            numbers = [int(digits[start : start + 8], 16) for start in range(0, 104, 8)]
        except ValueError:
            numbers = []
        if not numbers or not digits.isalnum():
            raise self._fault("a header field is not hexadecimal", "cpio-number")
        if not 1 < numbers[11] <= self._limits.path + 1:
            raise self._fault("a name is empty or too long", "cpio-name")
        return numbers

    def _entry(self, numbers: list[int]) -> Entry:
        kind = _TYPES.get(numbers[1] & 0o170000)
        reason = paths.fault(self._path, self._limits)
        if kind is None or reason:
            raise self._fault(f"{self._path!r} breaks the rule `{reason or 'cpio-type'}`", reason or "cpio-type")
        target = ""
        if kind is EntryType.SYMLINK:
            if not 0 < numbers[6] <= self._limits.path:
                raise self._fault("a link target is empty or too long", "cpio-link-target")
            target = self._exactly(numbers[6]).decode("utf-8", "surrogateescape")
            self._left = 0
        return Entry(
            self._path, kind, numbers[1] & 0o7777, numbers[2], numbers[3], size=self._left, mtime=numbers[5], target=target,
            device=(numbers[9], numbers[10]) if kind in (EntryType.CHARACTER, EntryType.BLOCK) else (0, 0),
        )  # fmt: skip

    def _end(self) -> None:
        while rest := self._read(_CHUNK):
            if rest.strip(b"\0"):
                raise self._fault("bytes follow the trailer", "cpio-data-after-end")

    def _exactly(self, length: int) -> bytes:
        parts, missing = [], length
        while missing:
            part = self._read(missing)
            if not part:
                raise self._fault("the archive ends inside an entry", "cpio-truncated")
            parts.append(part)
            missing -= len(part)
        self._offset += length
        return b"".join(parts)

    def _fault(self, message: str, reason: str) -> FormatError:
        return _fault(self._path, message, reason, self._offset)
