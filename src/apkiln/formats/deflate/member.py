"""One gzip member around open-ended DEFLATE slices (RFC 1952; spec performance.md §3.3, step 2).

    HEADER · slice · slice · … · trailer(crc, length)

Equal slices give equal bytes: no name, no time, no level, operating system 255.
"""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.deflate.checksum import combine

HEADER = bytes.fromhex("1f8b08000000000000ff")
"""Method 8, no flags, modification time 0, extra flags 0, operating system unknown."""
FINAL_BLOCK = b"\x03\x00"
"""An empty final block: it closes a chain of open-ended slices."""


class Slice(NamedTuple):
    """What is known of one piece of content that has an open-ended compressed form."""

    data: bytes
    """The compressed, open-ended bytes."""
    crc: int
    """CRC-32 of the uncompressed bytes."""
    length: int
    """Number of uncompressed bytes."""


def trailer(crc: int, length: int) -> bytes:
    """The end of a member: final block, CRC-32 and length modulo 2^32 of all uncompressed bytes."""
    return FINAL_BLOCK + crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")


def member(slices: Iterable[Slice]) -> bytes:
    """The slices, in order, as one complete gzip member in memory."""
    parts, crc, length = [HEADER], 0, 0
    for piece in slices:
        parts.append(piece.data)
        crc = combine(crc, piece.crc, piece.length)
        length += piece.length
    parts.append(trailer(crc, length))
    return b"".join(parts)
