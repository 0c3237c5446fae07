"""Layers streamed out of the store while they are verified (spec performance.md §3.1).

A layer is never held in memory.  A remembered digest is compared with the bytes that go out, so a damaged cache cannot make a
wrong image.  Of a layer that this process measured itself, only the checksums of its parts are looked at once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.formats.deflate import member
from apkiln.formats.deflate.checksum import combine, crc32
from apkiln.image.layer_recipe import LayerPart, LayerRecipe, StoredLayer
from apkiln.system.store import Store, damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import RawIOBase
    from typing import Any

_CHUNK = 1 << 20
_BUFFER, _BUFFERS = 1 << 19, 6
"""Bytes and number of the buffers that are read, hashed and written."""


def write_layer(store: Store, layer: StoredLayer, write: Callable[[bytes | memoryview], object]) -> None:
    """Stream the compressed file out and compare it with the layer's digest.  `write` must not keep what it is given.

    The caller must discard what was written when this raises VerificationError (`cache-entry-damaged`).
    """
    if layer.measured_now and all(part.data.slice_crc >= 0 for part in layer.recipe.parts):
        _copy_layer(store, layer, write)
        return
    with _Hashing() as hashing:
        for piece in _pieces(layer):
            if isinstance(piece, bytes):
                hashing.feed(memoryview(piece))
                write(piece)
            else:
                _write_part_of(store, piece, hashing, write)
        found = hashing.result()
    if found != (layer.digests.digest, layer.digests.size):
        raise find_damage(store, layer.recipe)


def _copy_layer(store: Store, layer: StoredLayer, write: Callable[[bytes | memoryview], object]) -> None:
    size, room = 0, new_room()
    for piece in _pieces(layer):
        if isinstance(piece, bytes):
            write(piece)
            size += len(piece)
            continue
        crc = 0
        for chunk in part_views(store, piece.data.slice, piece, room):
            crc = crc32(chunk, crc)
            write(chunk)
            size += len(chunk)
        if crc != piece.data.slice_crc:
            raise find_damage(store, layer.recipe)
    if size != layer.digests.size:
        raise find_damage(store, layer.recipe)


def _write_part_of(store: Store, part: LayerPart, hashing: _Hashing, write: Callable[[bytes | memoryview], object]) -> None:
    with _open(store, part.data.slice, part, part.data.slice_size) as stream:
        room = hashing.room()
        while size := stream.readinto(room):
            hashing.feed(room[:size], room)
            write(room[:size])
            room = hashing.room()
        hashing.give_back(room)


def member_chunks(store: Store, layer: StoredLayer) -> Iterator[bytes]:
    """The compressed file in chunks of at most 1 MiB."""
    for piece in _pieces(layer):
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from _blob(store, piece.data.slice, piece)


def _pieces(layer: StoredLayer) -> Iterator[bytes | LayerPart]:
    """The parts whose compressed bytes make the file, and what stands around them."""
    recipe = layer.recipe
    if not recipe.form.is_framed:
        yield from recipe.parts
        return
    yield member.HEADER
    yield from recipe.parts
    yield member.trailer(layer.tar_crc if layer.tar_crc is not None else _joined_crc(recipe), recipe.raw_size)


def _joined_crc(recipe: LayerRecipe) -> int:
    crc = 0
    for part in recipe.parts:
        crc = combine(crc, part.data.crc, part.data.raw_size)
    return crc


def tar_chunks(store: Store, recipe: LayerRecipe) -> Iterator[bytes]:
    """The uncompressed layer in chunks of at most 1 MiB.  Not verified: compare with the diffID."""
    for part in recipe.parts:
        yield from _blob(store, part.data.raw, part)


def find_damage(store: Store, recipe: LayerRecipe) -> VerificationError:
    """The error for a layer that does not have its digest: the first part whose bytes are not those of its name."""
    for part in recipe.parts:
        for digest, section in ((part.data.slice, "compressed"), (part.data.raw, "tar")):
            state = hashlib.sha256()
            for chunk in _blob(store, digest, part):
                state.update(chunk)
            if Digest.sha256(state.digest()) != digest:
                return damaged(store, digest, Origin(package=part.name, member=section))
    message = "the cache remembers a wrong digest for a layer"
    hint = "run `apkiln cache clean` to begin with an empty cache"
    return VerificationError(message, reason="cache-entry-damaged", origin=Origin(source=f"layers/{recipe.key()}"), hint=hint)


def _blob(store: Store, digest: Digest, part: LayerPart) -> Iterator[bytes]:
    with _open(store, digest, part) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def new_room() -> memoryview:
    """A buffer to read into."""
    return memoryview(bytearray(_BUFFER))


def part_views(store: Store, digest: Digest, part: LayerPart, room: memoryview) -> Iterator[memoryview]:
    """As `_blob`, each chunk lying in `room` until the next one takes its place."""
    with _open(store, digest, part) as stream:
        while size := stream.readinto(room):
            yield room[:size]


def _open(store: Store, digest: Digest, part: LayerPart, size: int | None = None) -> RawIOBase:
    stream = store.open(digest, size)
    if stream is None:
        raise damaged(store, digest, Origin(package=part.name))
    unbuffered: Any = stream
    return unbuffered  # type: ignore[no-any-return]


class _Hashing:
    """SHA-256 of what is fed, computed on a thread beside the caller, who reads into a few buffers that come round again."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._size = 0
        self._queue: SimpleQueue[tuple[memoryview, memoryview | None] | None] = SimpleQueue()
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._thread = Thread(target=self._run, daemon=True)
        self._running = False

    def __enter__(self) -> _Hashing:
        for _ in range(_BUFFERS):
            self._free.put(new_room())
        self._thread.start()
        self._running = True
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def room(self) -> memoryview:
        """A buffer that was hashed; waits for one."""
        return self._free.get()

    def give_back(self, room: memoryview) -> None:
        """For a buffer that was not needed."""
        self._free.put(room)

    def feed(self, content: memoryview, room: memoryview | None = None) -> None:
        """Hash `content`; `room` is the buffer it lies in, which is free afterwards."""
        self._size += len(content)
        self._queue.put((content, room))

    def result(self) -> tuple[Digest, int]:
        """Digest and size of everything fed; ends the thread."""
        self._stop()
        return Digest.sha256(self._state.digest()), self._size

    def _stop(self) -> None:
        if self._running:
            self._queue.put(None)
            self._thread.join()
            self._running = False

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            content, room = item
            self._state.update(content)
            if room is not None:
                self._free.put(room)
