"""Members of a `.deb` decompressed as a stream: none, gzip, xz, zstd (deb(5); spec debian.md §9 "Members")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, cast

from apkiln.core.errors import FormatError
from apkiln.core.limits import KIB, MIB, Limits
from apkiln.core.origin import Origin

CHUNK = 256 * KIB
"""Most compressed bytes read, and most content handed out, at once."""
XZ_MEMORY = 256 * MIB
"""Memory the xz decoder may take; dpkg's largest preset needs 65 MiB."""


class Window:
    """A part of a seekable file as a forward-only stream."""

    def __init__(self, stream: BinaryIO, offset: int, size: int) -> None:
        self._stream = stream
        self._position = offset
        self._end = offset + size

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._position
        self._stream.seek(self._position)
        data = self._stream.read(left if size < 0 else min(size, left))
        self._position += len(data)
        return data


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


_Opener = Callable[[], tuple[_Decoder, type[Exception]]]


def decompressed(window: Window, suffix: str, limit: int, limits: Limits, origin: Origin) -> Iterator[bytes]:
    """Chunks of the content of a member whose name ends in `suffix` (``, `.gz`, `.xz`, `.zst`, `.bz2`).

    Raises FormatError: `deb-compression` (unknown or damaged), `deb-truncated`, `deb-too-large` (content over `limit`),
    `deb-ratio`, `deb-trailing-bytes`.
    """
    match suffix:
        case "":
            chunks = iter(lambda: window.read(CHUNK), b"")
        case ".gz":
            chunks = _gzip(window, limit, limits)
        case ".xz":
            chunks = _decode(window, _xz, limits, origin)
        case ".zst":
            chunks = _decode(window, _zstd, limits, origin)
        case ".bz2":
            chunks = _decode(window, _bz2, limits, origin)
        case _:
            raise FormatError(f"unknown compression `{suffix}`", reason="deb-compression", origin=origin)
    return _limited(chunks, limit, origin)


def _limited(chunks: Iterator[bytes], limit: int, origin: Origin) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise FormatError(f"the content is larger than {limit} bytes", reason="deb-too-large", origin=origin)
        yield chunk


def _gzip(window: Window, limit: int, limits: Limits) -> Iterator[bytes]:
    from apkiln.formats.gzip import GzipMembers

    members = GzipMembers(cast("BinaryIO", window), limits)
    yield from members.member("", limit)
    members.require_end()


def _decode(window: Window, opener: _Opener, limits: Limits, origin: Origin) -> Iterator[bytes]:
    decoder, error = opener()
    read = produced = 0
    while not decoder.eof:
        data = window.read(CHUNK) if decoder.needs_input else b""
        if decoder.needs_input and not data:
            raise FormatError("the member ends inside compressed data", reason="deb-truncated", origin=origin)
        read += len(data)
        try:
            chunk = decoder.decompress(data, CHUNK)
        except error as fault:
            raise FormatError(f"the compressed data is damaged ({fault})", reason="deb-compression", origin=origin) from fault
        produced += len(chunk)
        if produced > limits.ratio_free and produced > limits.ratio * read:
            message = f"{read} bytes inflate to more than {limits.ratio} times as many"
            raise FormatError(message, reason="deb-ratio", origin=origin)
        if chunk:
            yield chunk
    if decoder.unused_data or window.read(1):
        raise FormatError("bytes follow the compressed data", reason="deb-trailing-bytes", origin=origin)


def _xz() -> tuple[_Decoder, type[Exception]]:
    from lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    return LZMADecompressor(FORMAT_XZ, XZ_MEMORY), LZMAError


def _zstd() -> tuple[_Decoder, type[Exception]]:
    from backports import zstd

    return zstd.ZstdDecompressor(), zstd.ZstdError


def _bz2() -> tuple[_Decoder, type[Exception]]:
    from bz2 import BZ2Decompressor

    return BZ2Decompressor(), OSError
