"""One strict, streaming tar reader for everything that comes from outside (spec apk.md §2.4, §12.3).

It reads forward only, holds one chunk of the input and one header, and never an entry's content.  ustar, PAX local and
global headers, GNU long names.  Rules that concern several entries together are in `structure`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from zlib import adler32

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.formats.archive import path as paths
from apkiln.formats.archive import pax
from apkiln.formats.archive.chunk_reader import ChunkReader
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_rules import STRICT, Report, TarRules

BLOCK = 512
_ZERO = bytes(BLOCK)
_FIELDS = Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_NUMBER = pattern(rb" *([0-7]*)[ \0]*")
_TYPES = {kind.value.encode(): kind for kind in EntryType} | {b"7": EntryType.FILE}
_META = frozenset({b"x", b"g", b"L", b"K"})
_POSIX = b"ustar\x0000"
_PATH_ONLY = frozenset({"name-double-slash", "name-dot-component", "name-dot-dot-component"})
_REPORTS = 1000
_NO_PAX = pax.PaxOverride()


class _Header(NamedTuple):
    """The raw fields of one header block."""

    name: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    size: bytes
    mtime: bytes
    checksum: bytes
    type: bytes
    link: bytes
    magic: bytes
    uname: bytes
    gname: bytes
    major: bytes
    minor: bytes
    prefix: bytes


class TarReader(ChunkReader):
    """Entries of one archive (or of one section of a package) in order.

    `next_entry` gives an entry, `content` the chunks of its bytes; content left unread is skipped.  All faults are
    FormatErrors whose origin names the section, the entry and the offset of its header in the uncompressed section.
    Reasons: those of `path.fault` and `pax`, and `tar-truncated`, `tar-checksum`, `tar-magic`, `tar-number`, `tar-base-256`,
    `tar-type`, `tar-size-on-type`, `tar-content-size`, `tar-pax-size`, `tar-pax-global`, `tar-pax-without-entry`,
    `tar-pax-repeated`, `tar-pax-too-large`, `tar-long-link`, `tar-lone-zero-block`, `tar-data-after-end`,
    `tar-too-many-entries`, `tar-link-target`, `tar-owner-name`.
    Cost: some 10 µs an entry and one copy of the content.
    """

    def __init__(
        self, chunks: Iterable[bytes], rules: TarRules = STRICT, limits: Limits = DEFAULT_LIMITS, *, section: str = ""
    ) -> None:
        super().__init__(chunks)
        self._rules = rules
        self._limits = limits
        self.section = section
        """Name of the section in messages; may be set when the first entry has told it."""
        self._left = 0
        self._padding = 0
        self._headers = 0
        self._numbers: dict[bytes, int] = {}
        self._owners: dict[bytes, str] = {bytes(32): ""}
        self._path = ""
        self._pax: pax.PaxOverride | None = None
        self._long_name: str | None = None
        self._long_link: str | None = None
        self.header_offset = 0
        """Of the current entry's first header block."""
        self.end_blocks = False
        """Whether the archive ended with zero blocks; known once `next_entry` gave None."""
        self.reports: list[Report] = []
        """What a tolerant reading accepted, and names that are not UTF-8; at most 1,000."""

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self.next_entry()) is not None:
            yield entry

    def next_entry(self) -> Entry | None:
        """The next entry, or None at the end, when everything up to the last byte has been read and checked."""
        if self._left or self._padding:
            self._skip_content()
        self._start()
        while (header := self._header()) is not None:
            if header.type in _META:
                self._meta(header)
                continue
            entry = self._entry(header)
            if entry is not None:
                return entry
            self._start()
        if (self._pax, self._long_name, self._long_link) != (None, None, None):
            raise self.fault("an extended header is followed by no entry", "tar-pax-without-entry")
        return None

    def content(self) -> Iterator[bytes]:
        """Chunks of the current entry's content, none empty; nothing for what is not a FILE.  May be left early."""
        while self._left:
            piece = self._data[self._at : self._at + self._left]
            if piece:
                self._at += len(piece)
                self._left -= len(piece)
                yield piece
            else:
                self._refill()

    def fault(self, message: str, reason: str) -> FormatError:
        """A FormatError at the current entry."""
        place = "/".join(part for part in (self.section, self._path) if part)
        return FormatError(message, reason=reason, origin=Origin(member=paths.printable(place), offset=self.header_offset))

    def truncated(self) -> FormatError:
        return self.fault("the archive ends inside an entry", "tar-truncated")

    def report(self, message: str, reason: str) -> None:
        """Remember a broken rule of the current entry."""
        if len(self.reports) < _REPORTS:
            self.reports.append(Report(reason, message, self.section, self._path, self.header_offset))

    def soft(self, message: str, reason: str) -> None:
        """Raise, or report when the rules are tolerant."""
        if not self._rules.tolerant:
            raise self.fault(message, reason)
        self.report(message, reason)

    def _skip_content(self) -> None:
        left = self._left + self._padding
        self._left = self._padding = 0
        self._skip(left)

    # headers

    def _start(self) -> None:
        self._path = ""
        self._pax = self._long_name = self._long_link = None
        self.header_offset = self._base + self._at

    def _header(self) -> _Header | None:
        """Fields of the next header block; None at the end of the archive."""
        if self._at == len(self._data) and not self._more():
            return None
        block = self._take(BLOCK)
        if not block[0] and block == _ZERO:
            self._end()
            return None
        self._headers += 1
        if self._headers > self._limits.archive_entries:
            raise self.fault(f"more than {self._limits.archive_entries} entries", "tar-too-many-entries")
        header = _Header._make(_FIELDS.unpack(block))
        if not header.magic.startswith(b"ustar") and not (self._rules.v7 and not header.magic.strip(b"\0")):
            raise self.fault("not a ustar header", "tar-magic")
        self._check_sum(block, header.checksum)
        return header

    def _end(self) -> None:
        """After one zero block: one more, then nothing but zeros."""
        self.end_blocks = True
        count = 0
        while self._at < len(self._data) or self._more():
            rest = self._data[self._at :]
            if rest.strip(b"\0"):
                raise self.fault("bytes follow the end of the archive", "tar-data-after-end")
            count += len(rest)
            self._at = len(self._data)
        if count < BLOCK:
            self.soft("one zero block alone does not end an archive", "tar-lone-zero-block")

    def _check_sum(self, block: bytes, field: bytes) -> None:
        # An ASCII block sums up to less than 65,521, so half of an Adler-32 is its sum at a tenth of the cost.
        total = (adler32(block) & 0xFFFF) - 1 if block.isascii() else sum(block)
        if self._parse_number(field, "checksum") != total - sum(field) + 256:
            self.soft("the header checksum is wrong", "tar-checksum")

    def _number(self, field: bytes, name: str) -> int:
        """An octal field that may be empty; repeated fields are looked up."""
        value = self._numbers.get(field)
        if value is None:
            value = self._parse_number(field, name)
            if len(self._numbers) > 4096:
                self._numbers.clear()
            self._numbers[field] = value
        return value

    def _parse_number(self, field: bytes, name: str) -> int:
        if field[0] & 0x80:
            if self._rules.gnu and field[0] == 0x80:
                return int.from_bytes(field[1:], "big")
            raise self.fault(f"the {name} is written in base 256", "tar-base-256")
        match = _NUMBER.fullmatch(field)
        if match is None or (not match[1] and name in ("size", "checksum")):
            raise self.fault(f"the {name} {field!r} is not octal", "tar-number")
        return int(match[1] or b"0", 8)

    # extended headers

    def _meta(self, header: _Header) -> None:
        """Read the body of an extended header."""
        size = self._parse_number(header.size, "size")
        if size > self._limits.pax_record:
            raise self.fault(f"an extended header is larger than {self._limits.pax_record} bytes", "tar-pax-too-large")
        body = self._take(size + -size % BLOCK)[:size]
        if header.type == b"x":
            self._once(self._pax)
            self._pax = self._override(body)
        elif header.type == b"g":
            self._global(self._override(body))
        elif header.type == b"L":
            self._once(self._long_name)
            self._long_name = self._decode(body.partition(b"\0")[0])
        else:
            self._once(self._long_link)
            if not self._rules.gnu:
                raise self.fault("apk does not read GNU long link texts", "tar-long-link")
            self._long_link = self._decode(body.partition(b"\0")[0])

    def _once(self, present: object) -> None:
        if present is not None:
            raise self.fault("two extended headers of one kind before one entry", "tar-pax-repeated")

    def _override(self, body: bytes) -> pax.PaxOverride:
        try:
            return pax.interpret(pax.records(body))
        except pax.PaxFault as fault:
            raise self.fault(*fault.args) from None

    def _global(self, override: pax.PaxOverride) -> None:
        """A global header; apk ignores it, so it may not mean anything."""
        further = tuple(pair for pair in override.further if pair[0] != "comment")
        if override._replace(further=further) != _NO_PAX:
            self.soft("a global header that says more than a comment", "tar-pax-global")

    def _decode(self, text: bytes) -> str:
        """Names that are not UTF-8 are kept byte for byte (surrogate escapes) and reported; writers refuse them."""
        try:
            return text.decode()
        except UnicodeDecodeError:
            self.report(f"{text!r} is not UTF-8", "name-not-utf8")
            return text.decode("utf-8", "surrogateescape")

    # entries

    def _entry(self, header: _Header) -> Entry | None:
        """The entry of a header block; None for what is skipped."""
        override = self._pax or _NO_PAX
        self._path = name = self._name(header, override)
        kind = self._type(header.type)
        size = self._size(header.size, override)
        if kind is None:
            self._padding = size + -size % BLOCK
            self._skip_content()
            return None
        self._path = path = self._clean(name, kind)
        if kind is EntryType.FILE:
            self._left, self._padding = size, -size % BLOCK
        elif size:
            self.soft(f"a {kind.name.lower()} has no content, but a size of {size}", "tar-size-on-type")
            self._padding, size = size + -size % BLOCK, 0
        if not path:
            return None
        entry = Entry(
            path,
            kind,
            self._number(header.mode, "mode") & 0o7777,
            self._number(header.uid, "uid"),
            self._number(header.gid, "gid"),
            self._owner(header.uname),
            self._owner(header.gname),
            size,
            self._number(header.mtime, "mtime"),
        )
        if override is not _NO_PAX:
            entry = self._overridden(entry, override)
        return entry if kind is EntryType.FILE or kind is EntryType.DIRECTORY else self._special(entry, header, override)

    def _overridden(self, entry: Entry, override: pax.PaxOverride) -> Entry:
        """`entry` with what its PAX records say of owner, time, attributes."""
        return entry._replace(
            uid=entry.uid if override.uid is None else override.uid,
            gid=entry.gid if override.gid is None else override.gid,
            uname=entry.uname if override.uname is None else self._owner(override.uname.encode("utf-8", "surrogateescape")),
            gname=entry.gname if override.gname is None else self._owner(override.gname.encode("utf-8", "surrogateescape")),
            mtime=entry.mtime if override.mtime is None else override.mtime,
            xattrs=override.xattrs,
            pax=override.further,
        )

    def _special(self, entry: Entry, header: _Header, override: pax.PaxOverride) -> Entry:
        """`entry` with its link target or device numbers."""
        if entry.type in (EntryType.SYMLINK, EntryType.HARDLINK):
            return entry._replace(target=self._target(entry.type, header, override))
        if entry.type in (EntryType.CHARACTER, EntryType.BLOCK):
            return entry._replace(device=(self._number(header.major, "major"), self._number(header.minor, "minor")))
        return entry

    def _name(self, header: _Header, override: pax.PaxOverride) -> str:
        if override.path is not None:
            return override.path if override.path.isascii() else self._decode(override.path.encode("utf-8", "surrogateescape"))
        if self._long_name is not None:
            return self._long_name
        name = header.name.partition(b"\0")[0]
        if header.prefix[0] and header.magic == _POSIX:
            name = header.prefix.partition(b"\0")[0] + b"/" + name
        return self._decode(name)

    def _type(self, flag: bytes) -> EntryType | None:
        kind = _TYPES.get(flag)
        if kind is None:
            if flag == b"\0" and (self._rules.gnu or self._rules.tolerant):
                self.report("a type byte of NUL, which apk skips", "tar-type")
                return EntryType.FILE
            self.soft(f"unknown entry type {flag!r}", "tar-type")
        return kind

    def _size(self, field: bytes, override: pax.PaxOverride) -> int:
        size = self._parse_number(field, "size")
        if override.size is not None and override.size != size:
            if not self._rules.pax_size:
                raise self.fault(f"the PAX size {override.size} differs from the header's {size}", "tar-pax-size")
            size = override.size
        if size > self._limits.data_decompressed:
            raise self.fault(f"{size} bytes are more than an archive may hold", "tar-content-size")
        return size

    def _clean(self, name: str, kind: EntryType) -> str:
        """The path in our form; "" for the root entry of archives that may have one."""
        reason = paths.fault(name, self._limits)
        if not reason or (self._rules.labels and reason in _PATH_ONLY):
            return name
        path = name
        if self._rules.dot_prefix and (path == "." or path.startswith("./")):
            path = path[1:].lstrip("/")
            if self._rules.tolerant:
                self.report("`./` before a name, which apk skips", reason)
        if kind is EntryType.DIRECTORY:
            path = path.removesuffix("/")
            if not path and self._rules.dot_prefix and name.startswith("."):
                return ""
        reason = paths.fault(path, self._limits)
        if reason:
            raise self.fault(f"the path {name!r} breaks the rule `{reason}`", reason)
        return path

    def _target(self, kind: EntryType, header: _Header, override: pax.PaxOverride) -> str:
        target = override.linkpath if override.linkpath is not None else self._long_link
        if target is None:
            target = self._decode(header.link.partition(b"\0")[0])
        if kind is EntryType.HARDLINK:
            return self._link_path(target)
        if not target or paths.CONTROL.search(target) or len(target.encode("utf-8", "surrogateescape")) > self._limits.path:
            raise self.fault(f"{target!r} is not a link target", "tar-link-target")
        return target

    def _link_path(self, target: str) -> str:
        path = target.removeprefix("./").lstrip("/") if self._rules.link_prefix else target
        reason = paths.fault(path, self._limits)
        if reason:
            raise self.fault(f"the hard link target {target!r} breaks the rule `{reason}`", "tar-link-target")
        return path

    def _owner(self, field: bytes) -> str:
        name = self._owners.get(field)
        if name is None:
            name = field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            if paths.CONTROL.search(name) or ":" in name:
                raise self.fault(f"{name!r} is not an owner name", "tar-owner-name")
            if len(self._owners) < 4096:
                self._owners[field] = name
        return name
