"""Tar headers with one byte form for one entry (spec package.md §10.4, image.md §6).

ustar; a PAX extended header stands before it only when the entry needs one: extended attributes, further PAX records, a
name or link text that is not ASCII or does not fit, ids above 2,097,151, sizes from 8 GiB, times before 1970.  A long ASCII
name without other PAX records is split into the prefix field.  Directories carry no trailing slash, times are whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from zlib import adler32

from apkiln.core.errors import FormatError
from apkiln.core.limits import GIB
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.archive import path as paths
from apkiln.formats.archive.entry import Entry, EntryType

BLOCK = 512
END_OF_ARCHIVE = bytes(2 * BLOCK)
"""The two zero blocks that end an archive; no padding to a record follows."""
XATTR_KEYWORD = "SCHILY.xattr."
"""What precedes the name of an extended attribute in a PAX keyword."""
_OWN_KEYWORDS = frozenset({"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime"})
_OCTAL_8 = 0o7777777
_OCTAL_12 = 0o77777777777
_HEADER = Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_MAGIC = b"ustar\x0000"
_BLANKS = b"        "
_NO_DEVICE = b"0000000\0"
_NUL_DEVICE = bytes(8)
_TYPE_BYTES = {kind: kind.value.encode() for kind in EntryType}
_WITH_XATTRS = (EntryType.FILE, EntryType.DIRECTORY)
_LINKS = (EntryType.SYMLINK, EntryType.HARDLINK)
_DEVICES = (EntryType.CHARACTER, EntryType.BLOCK)


class _Modes(dict[int, bytes]):
    """The field of each mode that was asked for."""

    def __missing__(self, mode: int) -> bytes:
        assert 0 <= mode < 0o10000, f"{mode:o} is no mode"
        field = self[mode] = b"%07o\0" % mode
        return field


_MODES = _Modes()


@value
class TarDialect:
    """What a kind of archive may hold; an entry outside of it is refused, never silently changed."""

    name: str
    """For messages."""
    types: frozenset[EntryType] = frozenset(EntryType)
    """Entry types allowed."""
    pax: bool = True
    """False: entries that need a PAX header are refused (control sections, indexes)."""
    largest_file: int = 1 << 62
    """Largest content in bytes."""


LAYER = TarDialect("image layer")
PACKAGE = TarDialect("package data", types=frozenset(EntryType) - {EntryType.FIFO, EntryType.BLOCK}, largest_file=8 * GIB - 1)
"""apk reads no base-256 numbers and no PAX sizes, so files stay below 8 GiB."""
PLAIN = TarDialect("plain archive", types=frozenset({EntryType.FILE, EntryType.DIRECTORY}), pax=False, largest_file=8 * GIB - 1)
"""Signature and control sections, indexes, scripts archives, OCI archives: plain ustar headers only."""


def header(entry: Entry, dialect: TarDialect = LAYER) -> bytes:
    """All header blocks of one entry; its length is a multiple of 512.

    Raises FormatError: reasons of `paths.fault`, `name-not-utf8`, `tar-type-not-allowed`, `tar-needs-pax`,
    `tar-file-too-large`, `tar-field-out-of-range`, `tar-link-without-target`, `tar-xattr-name`, `tar-pax-keyword`.
    """
    name = _text(paths.check(entry.path), entry)
    if entry.type not in dialect.types or not 0 <= entry.size <= dialect.largest_file:
        raise _refusal(entry, dialect)
    link = _link(entry)
    records = _records(entry, link)
    prefix = b""
    if len(name) > 100 or not name.isascii():
        if not records:
            prefix, name = _split(name)
        if not prefix:
            records.append((b"path", name))
    if not records:
        return _block(entry, name, link, prefix)
    if not dialect.pax:
        raise _fault(entry, f"the entry needs a PAX header, which a {dialect.name} does not have", "tar-needs-pax")
    return _pax(entry.path, sorted(records)) + _block(entry, _ascii(name), _ascii(link), b"")


def padding(size: int) -> bytes:
    """The zero bytes that follow `size` bytes of content."""
    return bytes(-size % BLOCK)


def archive(members: Iterable[tuple[Entry, bytes]], dialect: TarDialect = PLAIN, *, end: bool = True) -> bytes:
    """A small archive in memory: each entry with its whole content.  `end`: with the two zero blocks."""
    return b"".join(_pieces(members, dialect, end))


def _pieces(members: Iterable[tuple[Entry, bytes]], dialect: TarDialect, end: bool) -> Iterator[bytes]:
    for entry, content in members:
        assert len(content) == entry.size, f"content of {entry.path} has another length than its entry says"
        yield header(entry, dialect)
        yield content
        yield padding(entry.size)
    if end:
        yield END_OF_ARCHIVE


def _fault(entry: Entry, message: str, reason: str) -> FormatError:
    return FormatError(message, reason=reason, origin=Origin(member=entry.path))


def _refusal(entry: Entry, dialect: TarDialect) -> FormatError:
    if entry.type not in dialect.types:
        return _fault(entry, f"a {dialect.name} holds no {entry.type.name.lower()}", "tar-type-not-allowed")
    return _fault(entry, f"{entry.size} bytes are not in 0..{dialect.largest_file}", "tar-file-too-large")


def _text(text: str, entry: Entry) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _fault(entry, f"{text!r} is not UTF-8", "name-not-utf8") from None


def _link(entry: Entry) -> bytes:
    if entry.type not in _LINKS:
        return b""
    if not entry.target or paths.CONTROL.search(entry.target):
        raise _fault(entry, f"{entry.target!r} is not a link target", "tar-link-without-target")
    return _text(entry.target, entry)


def _records(entry: Entry, link: bytes) -> list[tuple[bytes, bytes]]:
    """PAX records that the entry needs whatever its name; unsorted."""
    records = _foreign_records(entry) if entry.pax else []
    if entry.xattrs:
        records += _xattr_records(entry)
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
    if entry.uid > _OCTAL_8:
        records.append((b"uid", b"%d" % entry.uid))
    if entry.gid > _OCTAL_8:
        records.append((b"gid", b"%d" % entry.gid))
    if entry.size > _OCTAL_12:
        records.append((b"size", b"%d" % entry.size))
    if not 0 <= entry.mtime <= _OCTAL_12:
        records.append((b"mtime", b"%d" % entry.mtime))
    for key, owner in ((b"uname", entry.uname), (b"gname", entry.gname)):
        if owner and (not owner.isascii() or len(owner) > 32):
            records.append((key, _text(owner, entry)))
    return records


def _foreign_records(entry: Entry) -> list[tuple[bytes, bytes]]:
    """The records of `Entry.pax`, which may not speak of what other fields already say."""
    keys = [key for key, _ in entry.pax]
    for key in keys:
        if key in _OWN_KEYWORDS or key.startswith(XATTR_KEYWORD) or not key or "=" in key or paths.CONTROL.search(key):
            raise _fault(entry, f"{key!r} cannot be a further PAX keyword", "tar-pax-keyword")
    if len(set(keys)) != len(keys):
        raise _fault(entry, "a PAX keyword stands twice", "tar-pax-keyword")
    return [(key.encode(), value.encode("utf-8", "surrogateescape")) for key, value in entry.pax]


def _xattr_records(entry: Entry) -> list[tuple[bytes, bytes]]:
    if entry.type not in _WITH_XATTRS:
        raise _fault(entry, "only files and directories carry extended attributes", "tar-xattr-name")
    for key, _ in entry.xattrs:
        if not key or "=" in key or paths.CONTROL.search(key):
            raise _fault(entry, f"{key!r} is not a name of an extended attribute", "tar-xattr-name")
    return [(XATTR_KEYWORD.encode() + key.encode(), value) for key, value in entry.xattrs]


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Prefix and name fields of a long ASCII path: the longest prefix that fits; (b"", name) when none does."""
    if not name.isascii():
        return b"", name
    cut = name.rfind(b"/", 0, 156)
    if cut <= 0 or len(name) - cut - 1 > 100:
        return b"", name
    return name[:cut], name[cut + 1 :]


def _ascii(text: bytes) -> bytes:
    """What stands in a ustar field whose whole text is in a PAX record: the ASCII characters, cut to the field."""
    return text[:100] if text.isascii() else bytes(byte for byte in text if byte < 128)[:100]


def _octal(value: int, entry: Entry) -> bytes:
    if not 0 <= value <= _OCTAL_8:
        if value > _OCTAL_8:
            return _NO_DEVICE  # the number stands in a PAX record
        raise _fault(entry, f"{value} does not fit a tar header", "tar-field-out-of-range")
    return b"%07o\0" % value


def _devices(entry: Entry) -> tuple[bytes, bytes]:
    if entry.type not in _DEVICES:
        return _NO_DEVICE, _NO_DEVICE
    if max(entry.device) > _OCTAL_8 or min(entry.device) < 0:
        raise _fault(entry, f"device {entry.device} does not fit a tar header", "tar-field-out-of-range")
    return b"%07o\0" % entry.device[0], b"%07o\0" % entry.device[1]


def _owner(name: str) -> bytes:
    if not name:
        return b""
    return name.encode()[:32] if name.isascii() else "".join(letter for letter in name if letter < "\x80").encode()[:32]


def _block(entry: Entry, name: bytes, link: bytes, prefix: bytes) -> bytes:
    if not 0 <= entry.mode < 0o10000:
        raise _fault(entry, f"mode {entry.mode:o} has more than 12 bits", "tar-field-out-of-range")
    major, minor = _devices(entry)
    size = b"%011o\0" % (entry.size if entry.size <= _OCTAL_12 else 0)
    mtime = b"%011o\0" % (entry.mtime if 0 <= entry.mtime <= _OCTAL_12 else 0)
    return _summed(
        name, _MODES[entry.mode], _octal(entry.uid, entry), _octal(entry.gid, entry), size, mtime, _BLANKS,
        _TYPE_BYTES[entry.type], link, _MAGIC, _owner(entry.uname), _owner(entry.gname), major, minor, prefix,
    )  # fmt: skip


def _summed(*fields: bytes) -> bytes:
    """The block with its checksum.  Every byte is ASCII, so the sum stays below 65,521 and Adler-32's first half is the sum."""
    block = _HEADER.pack(*fields)
    return b"%b%06o\0 %b" % (block[:148], (adler32(block) & 0xFFFF) - 1, block[156:])


def _pax(path: str, records: list[tuple[bytes, bytes]]) -> bytes:
    """The extended header of `path`: its own block, the records, padding."""
    body = b"".join([_record(key, value) for key, value in records])
    directory, _, base = path.rpartition("/")
    name = _ascii((f"{directory}/PaxHeaders.0/{base}" if directory else f"PaxHeaders.0/{base}").encode()).rstrip(b"/")
    zero = b"0000000\0"
    size = b"%011o\0" % len(body)
    block = _summed(
        name, zero, zero, zero, size, b"00000000000\0", _BLANKS, b"x", b"", _MAGIC, b"", b"", _NUL_DEVICE, _NUL_DEVICE, b""
    )
    return block + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
