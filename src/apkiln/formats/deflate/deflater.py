"""Chunks of content in, open-ended slices out, with bounded memory and as many threads as the caller lends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from apkiln.formats.deflate.checksum import combine, crc32
from apkiln.formats.deflate.codec import PIECE, Codec
from apkiln.formats.deflate.member import HEADER, Slice, trailer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor, Future


class Deflater:
    """Cuts what it is fed at multiples of `piece_size` and compresses each piece.

    `feed` and `finish` yield finished slices in order; the bytes depend on the content alone, not on chunk borders or
    threads.  With an executor up to `ahead` pieces are compressed beside the caller, so memory stays below
    `(ahead + 2) · 4 MiB` and the compressed bytes.  The executor must not be the one that runs the caller: a caller
    waiting inside the pool it waits for never ends.
    """

    def __init__(self, codec: Codec, executor: Executor | None = None, *, ahead: int = 2, piece_size: int = PIECE) -> None:
        self.crc = 0
        """CRC-32 of all slices so far; of everything after `finish`."""
        self.length = 0
        """Uncompressed bytes of all slices so far."""
        self._codec = codec
        self._executor = executor
        self._ahead = ahead
        self._piece_size = piece_size
        self._pending: list[bytes | memoryview] = []
        self._held = 0
        self._running: deque[Future[Slice]] = deque()

    def feed(self, chunk: bytes | memoryview) -> Iterator[Slice]:
        """Take a chunk; the slices that are ready.  The iterator must be exhausted before the next call.

        Chunks are held as they are until a piece is full; what is not bytes is copied, because it may change.
        """
        room = self._piece_size - self._held
        if len(chunk) < room:
            self._hold(chunk if isinstance(chunk, bytes) else bytes(chunk))
            return
        view = memoryview(chunk)
        while len(view) >= room:
            self._hold(view[:room])
            view, room = view[room:], self._piece_size
            yield from self._compress()
        if view:
            self._hold(bytes(view))

    def finish(self) -> Iterator[Slice]:
        """The slices that are left.  Content of no bytes has no slices."""
        if self._held:
            yield from self._compress()
        while self._running:
            yield self._collect()

    def _hold(self, chunk: bytes | memoryview) -> None:
        self._pending.append(chunk)
        self._held += len(chunk)

    def _compress(self) -> Iterator[Slice]:
        parts, self._pending, self._held = self._pending, [], 0
        if self._executor is None:
            yield self._counted(_packed(self._codec, parts))
            return
        self._running.append(self._executor.submit(_packed, self._codec, parts))
        while len(self._running) > self._ahead:
            yield self._collect()

    def _collect(self) -> Slice:
        return self._counted(self._running.popleft().result())

    def _counted(self, made: Slice) -> Slice:
        self.crc = combine(self.crc, made.crc, made.length)
        self.length += made.length
        return made


def _packed(codec: Codec, parts: list[bytes | memoryview]) -> Slice:
    """One piece, given in parts, which are let go: joined and summed where it is compressed, beside the caller."""
    piece = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
    parts.clear()
    return Slice(codec.compress_piece(piece), crc32(piece), len(piece))


def compress_slices(codec: Codec, content: bytes | memoryview) -> tuple[Slice, ...]:
    """All slices of content in memory."""
    deflater = Deflater(codec)
    return (*deflater.feed(content), *deflater.finish())


def compress_member(codec: Codec, content: bytes | memoryview) -> bytes:
    """Content in memory as one gzip member; equal to `write_member` of the same bytes in any chunks."""
    deflater = Deflater(codec)
    slices = [piece.data for piece in (*deflater.feed(content), *deflater.finish())]
    return b"".join((HEADER, *slices, trailer(deflater.crc, deflater.length)))


def write_member(
    codec: Codec, chunks: Iterable[bytes], write: Callable[[bytes], object], executor: Executor | None = None
) -> int:
    """Stream content through as one gzip member; the number of uncompressed bytes."""
    deflater = Deflater(codec, executor)
    write(HEADER)
    for chunk in chunks:
        for piece in deflater.feed(chunk):
            write(piece.data)
    for piece in deflater.finish():
        write(piece.data)
    write(trailer(deflater.crc, deflater.length))
    return deflater.length
