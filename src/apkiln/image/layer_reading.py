"""Layers of a stored image, read once as a stream: entries, contents, and the digests that prove what was read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import BinaryIO

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import FOREIGN

_CHUNK = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Compression(Enum):
    """How a layer's bytes are stored, as its first bytes say."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class Measured(NamedTuple):
    """What a layer turned out to be."""

    digest: Digest
    """Of the stored bytes."""
    size: int
    """Stored bytes."""
    diff_id: Digest
    """Of the uncompressed tar."""
    compression: Compression


class LayerReader:
    """One pass over one layer; `measured` is known when the iteration is over.

    FormatError with the reasons of `formats.gzip` and `formats.archive.tar_reader`, and `zstd-invalid`, `zstd-too-large`.
    Members of gzip and frames of zstd may be several.  Cost: inflating plus two SHA-256 passes; memory: a few chunks.
    """

    def __init__(
        self,
        stream: BinaryIO,
        limits: Limits = DEFAULT_LIMITS,
        *,
        name: str = "",
        sink: Callable[[bytes], object] | None = None,
    ) -> None:
        """`sink` is given the uncompressed tar, before it is read."""
        self._source = _Counting(stream)
        self._sink = sink
        self._limits = limits
        self._tar_hash = hashlib.sha256()
        self._compression = Compression.NONE
        self._reader = TarReader(self._plain(), FOREIGN, limits, section=name)
        self._finished = False

    def __iter__(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Each entry with the chunks of its content, which may be left unread."""
        for entry in self._reader:
            yield entry, self._reader.content()
        self._finished = True

    @property
    def offset(self) -> int:
        """Where the content of the current entry begins in the uncompressed tar."""
        return self._reader.offset

    @property
    def measured(self) -> Measured:
        assert self._finished, "a layer is measured when it has been read to its end"
        digest = Digest.sha256(self._source.sha256.digest())
        return Measured(digest, self._source.size, Digest.sha256(self._tar_hash.digest()), self._compression)

    def _plain(self) -> Iterator[bytes]:
        for chunk in self._uncompressed():
            self._tar_hash.update(chunk)
            if self._sink is not None:
                self._sink(chunk)
            yield chunk

    def _uncompressed(self) -> Iterator[bytes]:
        head = self._source.peek(4)
        if head.startswith(_GZIP_MAGIC):
            self._compression = Compression.GZIP
            return _gunzip(self._source, self._limits)
        if head.startswith(_ZSTD_MAGIC):
            self._compression = Compression.ZSTD
            return _unzstd(self._source, self._limits)
        return iter(lambda: self._source.read(_CHUNK), b"")


class _Counting:
    """A stream that hashes and counts what is read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._head = b""
        self.sha256 = hashlib.sha256()
        self.size = 0

    def peek(self, size: int) -> bytes:
        self._head = self._stream.read(size)
        return self._head

    def read(self, size: int = -1) -> bytes:
        data, self._head = (self._head, b"") if self._head else (self._stream.read(size), b"")
        self.sha256.update(data)
        self.size += len(data)
        return data


def _gunzip(source: _Counting, limits: Limits) -> Iterator[bytes]:
    from apkiln.formats.gzip import GzipMembers

    members = GzipMembers(source, limits)  # type: ignore[arg-type]  # read() is all it uses
    left = limits.data_decompressed
    while not members.at_end():
        for chunk in members.member("layer", left):
            left -= len(chunk)
            yield chunk


def _unzstd(source: _Counting, limits: Limits) -> Iterator[bytes]:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from backports import zstd  # type: ignore[no-redef, unused-ignore]

    left, frame, data = limits.data_decompressed, zstd.ZstdDecompressor(), b""
    try:
        while True:
            if not data and (frame.eof or frame.needs_input):
                data = source.read(_CHUNK)
                if not data:
                    break
            if frame.eof:
                frame = zstd.ZstdDecompressor()
            plain = frame.decompress(data, _CHUNK)
            data = frame.unused_data if frame.eof else b""
            left -= len(plain)
            if left < 0:
                message = f"the layer holds more than {limits.data_decompressed} bytes"
                raise FormatError(message, reason="zstd-too-large")
            if plain:
                yield plain
    except zstd.ZstdError as cause:
        raise FormatError("the zstd data is damaged", reason="zstd-invalid") from cause
    if not frame.eof:
        raise FormatError("the zstd data ends early", reason="zstd-invalid")


def hashed_entries(
    reader: Iterable[tuple[Entry, Iterator[bytes]]],
    kept: Callable[[str], bool] = lambda path: False,
    keep: Callable[[str, bytes], None] = lambda path, content: None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[ContentEntry]:
    """Each entry with the digests of its content; the content of a FILE whose path `kept` wants goes to `keep`.

    Raises FormatError `file-too-large` for a wanted file beyond `limits.document`.
    """
    for entry, chunks in reader:
        if entry.type is EntryType.SYMLINK:
            text = entry.target.encode("utf-8", "surrogateescape")
            yield ContentEntry(entry, hashlib.sha1(text, usedforsecurity=False).digest())
        elif entry.type is not EntryType.FILE:
            yield ContentEntry(entry)
        elif kept(entry.path):
            content = _whole(entry, chunks, limits)
            keep(entry.path, content)
            yield _hashed(entry, (content,))
        else:
            yield _hashed(entry, chunks)


def _hashed(entry: Entry, chunks: Iterable[bytes]) -> ContentEntry:
    sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    for chunk in chunks:
        sha1.update(chunk)
        sha256.update(chunk)
    return ContentEntry(entry, sha1.digest(), sha256.digest())


def _whole(entry: Entry, chunks: Iterable[bytes], limits: Limits) -> bytes:
    if entry.size > limits.document:
        message = f"`{entry.path}` is larger than the {limits.document} bytes a document may have"
        raise FormatError(message, reason="file-too-large")
    return b"".join(chunks)
