"""Where the last block of a raw DEFLATE stream begins and ends, and how a closed stream is opened (RFC 1951).

Two twins answer the same question with the same numbers: `last_block_libz` (one `inflate(Z_BLOCK)` pass of the zlib that
Python itself uses, through ctypes, about 300 MB/s of uncompressed bytes) and `last_block_python` (plain Python, a few
MB/s).  `open_end` uses the first where it can be had.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.deflate import huffman, libz


class LastBlock(NamedTuple):
    """Bit positions inside a stream: bit `n` is bit `n % 8`, counted from the lowest, of byte `n // 8`."""

    header: int
    """Position of the last block's final bit."""
    end: int
    """Position of the first bit after the last block's end-of-block code."""


class BadStreamError(FormatError):
    """A stream that is not one complete DEFLATE stream (`bad-deflate`)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="bad-deflate")


def open_end(stream: bytes, content: bytes | memoryview) -> bytes:
    """`stream`, a closed raw DEFLATE stream of `content`, as an open-ended one: the final bit is cleared and an empty stored
    block follows, so the result ends on a byte border and whatever slice comes next may be appended.  4 or 5 bytes longer.

    The pass that finds the last block also compares what inflates with `content`, so that no wrong slice leaves here.
    Raises BadStreamError (`bad-deflate`) when they differ.
    """
    return opened(stream, _finder()(stream, content))


def opened(stream: bytes, last: LastBlock) -> bytes:
    """Clear the final bit at `last.header`, cut at `last.end` and append an empty stored block."""
    result = bytearray(stream[: (last.end + 7) // 8])
    result[last.header // 8] &= ~(1 << (last.header % 8))
    if last.end % 8:
        result[-1] &= (1 << (last.end % 8)) - 1
    if not 1 <= last.end % 8 <= 5:
        result.append(0)  # the three header bits of the stored block need a byte of their own
    return bytes(result) + b"\x00\x00\xff\xff"


def last_block_libz(stream: bytes, content: bytes | memoryview) -> LastBlock:
    """The last block by libz; call only when `libz.library()` is not None."""
    with libz.Inflation(stream, content) as inflation:
        header = 0
        while True:
            at_border, is_last, position = inflation.to_next_block()
            if not at_border:
                raise BadStreamError("the DEFLATE stream is damaged or incomplete")
            if is_last:
                break
            header = position
        if not inflation.is_whole():
            raise BadStreamError("the DEFLATE stream holds other bytes than were compressed")
        return LastBlock(header, position)


def last_block_python(stream: bytes, content: bytes | memoryview) -> LastBlock:
    """The last block by the plain Python walker; the content is compared through `zlib`."""
    import zlib

    inflater = zlib.decompressobj(-15)
    try:
        inflated = inflater.decompress(stream, len(content) + 1)
        header, end, length = huffman.walk(stream)
    except (zlib.error, ValueError) as error:
        raise BadStreamError("the DEFLATE stream is damaged or incomplete") from error
    if inflated != content or length != len(content):
        raise BadStreamError("the DEFLATE stream holds other bytes than were compressed")
    return LastBlock(header, end)


@lru_cache(maxsize=1)
def _finder() -> Callable[[bytes, bytes | memoryview], LastBlock]:
    return last_block_python if libz.library() is None else last_block_libz
