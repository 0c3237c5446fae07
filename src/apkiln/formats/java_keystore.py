"""Java's key store format `JKS`, as far as a store of trusted certificates needs it.

    FEEDFEED · version 2 · count · entry … · SHA-1(password, "Mighty Aphrodite", all before)

All numbers are big-endian; a text is a 16-bit length and UTF-8.  The password only guards against accidents.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable

from apkiln.core.errors import FormatError, VerificationError
from apkiln.core.named_tuple import NamedTuple

PASSWORD = "changeit"
"""What every Java installation uses for its certificate authorities."""
_HEAD = struct.Struct(">III")
_MAGIC = 0xFEEDFEED
_VERSION = 2
_PRIVATE_KEY, _TRUSTED = 1, 2
_DIGEST = 20
_WHITENER = b"Mighty Aphrodite"


class StoreEntry(NamedTuple):
    """One entry."""

    alias: str
    certificate: bytes
    """DER of a trusted certificate; empty for a private key."""
    raw: bytes
    """The entry's own bytes in the file."""


def read_keystore(data: bytes, password: str = PASSWORD) -> tuple[StoreEntry, ...]:
    """Entries in file order.  Raises FormatError (`keystore-format`) and VerificationError (`keystore-digest`)."""
    if len(data) < _HEAD.size + _DIGEST:
        raise _format_fault("the file is too short")
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    magic, version, count = _HEAD.unpack_from(body)
    if magic != _MAGIC or version != _VERSION:
        raise _format_fault("the file is not a Java key store of type JKS, version 2")
    if not hmac.compare_digest(_digest(body, password), digest):
        raise VerificationError("the key store's own digest does not hold", reason="keystore-digest")
    reader = _Reader(body, _HEAD.size)
    entries = tuple(_read_entry(reader) for _ in range(count))
    if reader.offset != len(body):
        raise _format_fault("bytes follow the last entry")
    return entries


def write_keystore(entries: Iterable[StoreEntry], password: str = PASSWORD) -> bytes:
    """A store of the entries in the given order."""
    listed = tuple(entries)
    body = _HEAD.pack(_MAGIC, _VERSION, len(listed)) + b"".join(entry.raw for entry in listed)
    return body + _digest(body, password)


def trusted_entry(alias: str, certificate: bytes, seconds: int) -> StoreEntry:
    """An entry for a trusted certificate, dated `seconds` after the epoch; aliases are lower-case, as Java stores them."""
    name = alias.lower()
    fields = (struct.pack(">I", _TRUSTED), _text(name), struct.pack(">Q", seconds * 1000), _text("X.509"), _block(certificate))
    return StoreEntry(name, certificate, b"".join(fields))


def add_certificates(data: bytes, certificates: Iterable[tuple[str, bytes]], seconds: int, password: str = PASSWORD) -> bytes:
    """The store with trusted certificates (alias, DER) added after the others; an equal alias is replaced.

    Raises as `read_keystore`.
    """
    entries = {entry.alias: entry for entry in read_keystore(data, password)}
    for alias, certificate in certificates:
        entries[alias.lower()] = trusted_entry(alias, certificate, seconds)
    return write_keystore(entries.values(), password)


class _Reader:
    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset

    def take(self, length: int) -> bytes:
        start, self.offset = self.offset, self.offset + length
        if self.offset > len(self.data):
            raise _format_fault("an entry is cut off")
        return self.data[start : self.offset]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        raw = self.take(self.number(2))
        try:
            return raw.decode()
        except UnicodeDecodeError as cause:
            raise _format_fault("a text is not UTF-8") from cause


def _read_entry(reader: _Reader) -> StoreEntry:
    start = reader.offset
    tag = reader.number(4)
    alias = reader.text()
    reader.take(8)
    certificate = b""
    if tag == _TRUSTED:
        certificate = _read_certificate(reader)
    elif tag == _PRIVATE_KEY:
        reader.take(reader.number(4))
        for _ in range(reader.number(4)):
            _read_certificate(reader)
    else:
        raise _format_fault(f"entries of type {tag} are not known")
    return StoreEntry(alias, certificate, reader.data[start : reader.offset])


def _read_certificate(reader: _Reader) -> bytes:
    reader.text()
    return reader.take(reader.number(4))


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _block(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _digest(body: bytes, password: str) -> bytes:
    return hashlib.sha1(password.encode("utf-16-be") + _WHITENER + body, usedforsecurity=False).digest()


def _format_fault(message: str) -> FormatError:
    return FormatError(message, reason="keystore-format")
