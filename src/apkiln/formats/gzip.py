"""gzip read member by member, strictly and within limits (spec apk.md §2.1, §12.3 "gzip").

apk gives the border between two members a meaning, so the members are never joined silently.  isal inflates when it is
installed (several times zlib's speed); zlib is its equal here and the oracle in tests.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import BinaryIO, Protocol, cast

from apkiln.core.errors import FormatError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, KIB, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin

CHUNK = 256 * KIB
"""Most raw bytes read, and most inflated bytes handed out, at once."""
_MAGIC = b"\x1f\x8b"
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT, _RESERVED = 2, 4, 8, 16, 0xE0
_TEXT_LIMIT = KIB


class Hasher(Protocol):
    """What `hashlib` objects and CRC counters have in common."""

    def update(self, data: bytes, /) -> object: ...


class Inflater(Protocol):
    """The part of zlib's decompression object that is used, on raw DEFLATE."""

    @property
    def unused_data(self) -> bytes: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


class Engine(Protocol):
    """A library that inflates."""

    def inflater(self) -> Inflater:
        """A fresh object for raw DEFLATE."""

    def crc32(self, data: bytes, value: int, /) -> int: ...

    @property
    def error(self) -> type[Exception]:
        """What the inflater raises on bad data."""


class ZlibEngine:
    """The standard library's zlib."""

    error: type[Exception] = zlib.error

    def inflater(self) -> Inflater:
        return zlib.decompressobj(-15)

    def crc32(self, data: bytes, value: int, /) -> int:
        return zlib.crc32(data, value)


class IsalEngine:
    """Intel's isa-l, with checksums of libdeflate (`deflate.checksum.crc32` says why).  Raises ImportError where one of them is
    not installed.  isa-l only ever inflates here (spec codec.md)."""

    def __init__(self) -> None:
        import deflate
        from isal import isal_zlib

        self._module, self._crc32 = isal_zlib, deflate.crc32
        self.error = cast("type[Exception]", isal_zlib.IsalError)

    def inflater(self) -> Inflater:
        inflater: Inflater = self._module.decompressobj(-15)
        return inflater

    def crc32(self, data: bytes, value: int, /) -> int:
        return int(self._crc32(data, value))


def fastest_engine() -> Engine:
    """isal where it can be imported, else zlib."""
    try:
        return IsalEngine()
    except ImportError:
        return ZlibEngine()


class Member(NamedTuple):
    """Where one member lies and what it held."""

    offset: int
    """Of its first raw byte."""
    length: int
    """Raw bytes, header and trailer included."""
    inflated: int
    """Bytes of content."""


class GzipMembers:
    """The members of one gzip file, read in order from a stream that need not seek.

    `hashers` see every raw byte of the file that belongs to a member.  Memory: two chunks.  All errors are FormatError but
    a wrong checksum or length, which is a VerificationError; their origin carries the section and the raw offset.
    """

    def __init__(
        self,
        stream: BinaryIO,
        limits: Limits = DEFAULT_LIMITS,
        *,
        hashers: Sequence[Hasher] = (),
        engine: Engine | None = None,
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._whole = tuple(hashers)
        self._engine = engine or fastest_engine()
        self._buffer = b""
        self._hashers: tuple[Hasher, ...] = self._whole
        self.section = ""
        """Name of the section in messages; may be set when its first bytes have told it."""
        self.position = 0
        """Raw bytes consumed so far."""
        self.finished: tuple[Member, ...] = ()
        """Members read to their end."""

    def at_end(self) -> bool:
        """True when no byte follows the last member read."""
        if not self._buffer:
            self._buffer = self._stream.read(CHUNK)
        return not self._buffer

    def member(self, section: str, limit: int, hashers: Sequence[Hasher] = ()) -> Iterator[bytes]:
        """Inflated chunks (each at most `CHUNK` bytes, none empty) of the next member; `hashers` see its raw bytes.

        To be exhausted before the next call: only then trailer and limits are checked.  Reasons: `gzip-missing`,
        `gzip-magic`, `gzip-method`, `gzip-reserved-flags`, `gzip-header-text`, `gzip-header-crc`, `gzip-truncated`,
        `gzip-invalid`, `gzip-too-large`, `gzip-ratio`, `gzip-crc`, `gzip-length`.
        """
        self.section = section
        self._hashers = (*self._whole, *hashers)
        start = self.position
        self._header()
        size, crc = 0, 0
        for chunk in self._inflate(start, limit + limit // 8 + CHUNK):
            size += len(chunk)
            if size > limit:
                raise self._fault(f"the content is larger than {limit} bytes", "gzip-too-large")
            crc = self._engine.crc32(chunk, crc)
            yield chunk
        self._trailer(crc, size)
        self.finished = (*self.finished, Member(start, self.position - start, size))

    def require_end(self) -> None:
        """Refuse anything after the last member: FormatError `gzip-trailing-bytes`."""
        if not self.at_end():
            what = "another member" if self._buffer.startswith(_MAGIC) else "further bytes"
            raise self._fault(f"{what} after the last section", "gzip-trailing-bytes")

    def _fault(self, message: str, reason: str) -> FormatError:
        return FormatError(message, reason=reason, origin=Origin(member=self.section, offset=self.position))

    def _consume(self, length: int) -> bytes:
        """The next `length` bytes, which the buffer holds, as read."""
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        self._count(taken)
        return taken

    def _count(self, raw: bytes) -> None:
        self.position += len(raw)
        for hasher in self._hashers:
            hasher.update(raw)

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            more = self._stream.read(CHUNK)
            if not more:
                raise self._fault("the file ends inside a gzip header or trailer", "gzip-truncated")
            self._buffer += more
        return self._consume(length)

    def _header(self) -> None:
        if self.at_end():
            raise self._fault("a gzip member is missing", "gzip-missing")
        fixed = self._take(10)
        if fixed[:2] != _MAGIC:
            raise self._fault("not a gzip member", "gzip-magic")
        if fixed[2] != 8:
            raise self._fault(f"unknown compression method {fixed[2]}", "gzip-method")
        flags = fixed[3]
        if flags & _RESERVED:
            raise self._fault("reserved header flags are set", "gzip-reserved-flags")
        if flags:
            self._optional_fields(flags, fixed)

    def _optional_fields(self, flags: int, seen: bytes) -> None:
        if flags & _FEXTRA:
            length = self._take(2)
            seen += length + self._take(int.from_bytes(length, "little"))
        for flag in (_FNAME, _FCOMMENT):
            if flags & flag:
                seen += self._zero_terminated()
        if flags & _FHCRC and int.from_bytes(self._take(2), "little") != zlib.crc32(seen) & 0xFFFF:
            raise self._fault("the header checksum is wrong", "gzip-header-crc")

    def _zero_terminated(self) -> bytes:
        while (end := self._buffer.find(0, 0, _TEXT_LIMIT + 1)) < 0:
            if len(self._buffer) > _TEXT_LIMIT:
                raise self._fault(f"a name or comment of the header is longer than {_TEXT_LIMIT} bytes", "gzip-header-text")
            more = self._stream.read(CHUNK)
            if not more:
                raise self._fault("the file ends inside a gzip header", "gzip-truncated")
            self._buffer += more
        return self._consume(end + 1)

    def _inflate(self, start: int, raw_limit: int) -> Iterator[bytes]:
        # Empty blocks inflate to nothing for ever, so the raw bytes have a limit of their own.
        inflater = self._engine.inflater()
        size = 0
        while not inflater.eof:
            if self.at_end():
                raise self._fault("the file ends inside compressed data", "gzip-truncated")
            raw = self._buffer
            pending = raw
            while True:
                chunk = self._decompress(inflater, pending)
                pending = inflater.unconsumed_tail
                size += len(chunk)
                self._check_ratio(size, self.position + len(raw) - len(pending) - start)
                if chunk:
                    yield chunk
                if inflater.eof or not (pending or len(chunk) == CHUNK):
                    break
            self._consume(len(raw) - len(inflater.unused_data))
            if self.position - start > raw_limit:
                raise self._fault(f"the compressed data is larger than {raw_limit} bytes", "gzip-too-large")

    def _decompress(self, inflater: Inflater, pending: bytes) -> bytes:
        try:
            return inflater.decompress(pending, CHUNK)
        except self._engine.error as error:
            raise self._fault(f"the compressed data is damaged ({error})", "gzip-invalid") from error

    def _check_ratio(self, size: int, raw: int) -> None:
        if size > self._limits.ratio_free and size > self._limits.ratio * raw:
            raise self._fault(f"{raw} bytes inflate to more than {self._limits.ratio} times as many", "gzip-ratio")

    def _trailer(self, crc: int, size: int) -> None:
        trailer = self._take(8)
        origin = Origin(member=self.section, offset=self.position - 8)
        if int.from_bytes(trailer[:4], "little") != crc:
            raise VerificationError("the CRC-32 of the content is wrong", reason="gzip-crc", origin=origin)
        if int.from_bytes(trailer[4:], "little") != size & 0xFFFFFFFF:
            raise VerificationError("the length of the content is wrong", reason="gzip-length", origin=origin)


def inflate(data: bytes, limit: int, *, section: str = "", limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The content of `data`, which must be exactly one gzip member; reasons of `GzipMembers`."""
    members = GzipMembers(BytesIO(data), limits)
    content = b"".join(members.member(section, limit))
    members.require_end()
    return content
