"""Layers made of stored parts: measured once, then streamed to the output while they are verified (spec performance.md §3.1).

A layer is never held in memory.  Its digests are remembered under the parts it consists of; a remembered digest is still
compared with the bytes that go out, so a damaged cache cannot make a wrong image.  Of a layer that this process measured
itself, only the checksums of its parts are looked at once more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Thread

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.deflate import member
from apkiln.formats.deflate.checksum import combine
from apkiln.formats.deflate.codec import Codec
from apkiln.formats.deflate.deflater import Deflater
from apkiln.formats.oci import media_types
from apkiln.image.layers import LayerPart, LayerRecipe
from apkiln.rootfs.side_data import SegmentData, decode_data, encode_data
from apkiln.system.store import Store, damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from io import RawIOBase
    from typing import Any

_LAYERS, _PARTS = "layers", "layer-parts"
_CHUNK = 1 << 20
_BUFFER, _BUFFERS = 1 << 19, 6
"""Bytes and number of the buffers that are read, hashed and written."""


class LayerDigests(NamedTuple):
    """What a manifest and a configuration say of a layer."""

    digest: Digest
    """SHA-256 of the compressed file."""
    diff_id: Digest
    """SHA-256 of the tar."""
    size: int
    """Bytes of the compressed file."""
    media_type: str = media_types.LAYER_GZIP


class StoredLayer(NamedTuple):
    """A layer whose bytes can be had at any time."""

    recipe: LayerRecipe
    digests: LayerDigests
    measured_now: bool = False
    """The digests were computed by this process, not remembered."""


def store_part(
    store: Store, name: str, key: str, chunks: Callable[[], Iterable[bytes]], codec: Codec, executor: Executor | None = None
) -> LayerPart:
    """Content as a part of layers, compressed once and kept under `key`, which must name the content's bytes.

    `chunks` is called only when the part is not there yet.
    """
    row = f"{key}.{codec.name}"
    stored = store.get(_PARTS, row)
    if stored is not None:
        data = decode_data(stored)
        if store.holds(data.raw, data.raw_size) and store.holds(data.slice, data.slice_size):
            return LayerPart(name, data)
    data = _write_part(store, chunks(), codec, executor)
    store.put(_PARTS, row, encode_data(data))
    return LayerPart(name, data)


def measure_layer(store: Store, recipe: LayerRecipe) -> StoredLayer:
    """The layer's digests: remembered, or computed from all bytes of its parts, tar and compressed form on two threads.

    Computing verifies every compressed part against its SHA-256 and every tar part against its CRC-32.  Raises
    VerificationError (`cache-entry-damaged`) that names the part, after removing it from the cache.
    """
    key = recipe.key()
    stored = store.get(_LAYERS, key)
    if stored is not None:
        digest, diff_id, size = json.loads(stored)
        return StoredLayer(recipe, LayerDigests(Digest.parse(digest), Digest.parse(diff_id), size, recipe.form.media_type))
    digests = _measure(store, recipe)
    row = json.dumps([str(digests.digest), str(digests.diff_id), digests.size])
    store.put(_LAYERS, key, row.encode())
    return StoredLayer(recipe, digests, measured_now=True)


def write_layer(store: Store, layer: StoredLayer, write: Callable[[bytes | memoryview], object]) -> None:
    """Stream the compressed file out and compare it with the layer's digest.  `write` must not keep what it is given.

    The caller must discard what was written when this raises VerificationError (`cache-entry-damaged`).
    """
    if layer.measured_now and all(part.data.slice_crc >= 0 for part in layer.recipe.parts):
        _copy_layer(store, layer, write)
        return
    with _Hashing() as hashing:
        for piece in _pieces(layer.recipe):
            if isinstance(piece, bytes):
                hashing.feed(memoryview(piece))
                write(piece)
            else:
                _write_part_of(store, piece, hashing, write)
        found = hashing.result()
    if found != (layer.digests.digest, layer.digests.size):
        raise find_damage(store, layer.recipe)


def _copy_layer(store: Store, layer: StoredLayer, write: Callable[[bytes | memoryview], object]) -> None:
    from isal.isal_zlib import crc32

    size, room = 0, _room()
    for piece in _pieces(layer.recipe):
        if isinstance(piece, bytes):
            write(piece)
            size += len(piece)
            continue
        crc = 0
        for chunk in _views(store, piece.data.slice, piece, room):
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


def member_chunks(store: Store, recipe: LayerRecipe) -> Iterator[bytes]:
    """The compressed file in chunks of at most 1 MiB."""
    for piece in _pieces(recipe):
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from _blob(store, piece.data.slice, piece)


def _pieces(recipe: LayerRecipe) -> Iterator[bytes | LayerPart]:
    """The parts whose compressed bytes make the file, and what stands around them."""
    if not recipe.form.is_framed:
        yield from recipe.parts
        return
    yield member.HEADER
    crc = length = 0
    for part in recipe.parts:
        yield part
        crc = combine(crc, part.data.crc, part.data.raw_size)
        length += part.data.raw_size
    yield member.trailer(crc, length)


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
    return VerificationError(message, reason="cache-entry-damaged", origin=Origin(source=f"{_LAYERS}/{recipe.key()}"), hint=hint)


def _measure(store: Store, recipe: LayerRecipe) -> LayerDigests:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        diff_id = beside.submit(_tar_digest, store, recipe)
        digest, size = _member_digest(store, recipe)
        return LayerDigests(digest, diff_id.result(), size, recipe.form.media_type)


def _tar_digest(store: Store, recipe: LayerRecipe) -> Digest:
    from isal.isal_zlib import crc32

    state, room = hashlib.sha256(), _room()
    for part in recipe.parts:
        crc = 0
        for chunk in _views(store, part.data.raw, part, room):
            state.update(chunk)
            crc = crc32(chunk, crc)
        if crc != part.data.crc:
            raise damaged(store, part.data.raw, Origin(package=part.name, member="tar"))
    return Digest.sha256(state.digest())


def _member_digest(store: Store, recipe: LayerRecipe) -> tuple[Digest, int]:
    framed = recipe.form.is_framed
    begin = member.HEADER if framed else b""
    whole = hashlib.sha256(begin)
    size, crc, length, room = len(begin), 0, 0, _room()
    for part in recipe.parts:
        own = hashlib.sha256()
        for chunk in _views(store, part.data.slice, part, room):
            whole.update(chunk)
            own.update(chunk)
            size += len(chunk)
        if Digest.sha256(own.digest()) != part.data.slice:
            raise damaged(store, part.data.slice, Origin(package=part.name, member="compressed"))
        crc = combine(crc, part.data.crc, part.data.raw_size)
        length += part.data.raw_size
    end = member.trailer(crc, length) if framed else b""
    whole.update(end)
    return Digest.sha256(whole.digest()), size + len(end)


def _blob(store: Store, digest: Digest, part: LayerPart) -> Iterator[bytes]:
    with _open(store, digest, part) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _room() -> memoryview:
    return memoryview(bytearray(_BUFFER))


def _views(store: Store, digest: Digest, part: LayerPart, room: memoryview) -> Iterator[memoryview]:
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


def _write_part(store: Store, chunks: Iterable[bytes], codec: Codec, executor: Executor | None) -> SegmentData:
    from isal.isal_zlib import crc32

    deflater = Deflater(codec, executor)
    raw_size = slice_size = slice_crc = 0
    with store.writer() as raw, store.writer() as compressed:
        for chunk in chunks:
            raw.write(chunk)
            raw_size += len(chunk)
            for piece in deflater.feed(chunk):
                compressed.write(piece.data)
                slice_size += len(piece.data)
                slice_crc = crc32(piece.data, slice_crc)
        for piece in deflater.finish():
            compressed.write(piece.data)
            slice_size += len(piece.data)
            slice_crc = crc32(piece.data, slice_crc)
        return SegmentData(raw.commit(), raw_size, deflater.crc, compressed.commit(), slice_size, codec.name, slice_crc)


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
            self._free.put(_room())
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
