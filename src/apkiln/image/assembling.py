"""Layers put together from stored parts, and measured once (spec performance.md §3.1).

A layer's digests are remembered under the parts it consists of; `layer_writing` still compares them with the bytes that go out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable

from apkiln.core.digest import Digest
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.deflate import member
from apkiln.formats.deflate.checksum import combine, crc32
from apkiln.formats.deflate.codec import Codec
from apkiln.formats.deflate.deflater import Deflater
from apkiln.image.layer_recipe import LayerDigests, LayerPart, LayerRecipe, StoredLayer
from apkiln.image.layer_writing import new_room, part_views
from apkiln.rootfs.segment_data import SegmentData, decode_data, encode_data
from apkiln.system.parallel import map_in_threads
from apkiln.system.store import Store, damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor

_LAYERS, _PARTS = "layers", "layer-parts"


class _Member(NamedTuple):
    """The compressed file."""

    digest: Digest
    size: int
    crc: int
    """Of the tar."""


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
        digest, diff_id, size, *crc = json.loads(stored)
        digests = LayerDigests(Digest.parse(digest), Digest.parse(diff_id), size, recipe.form.media_type)
        return StoredLayer(recipe, digests, crc[0] if crc else None)
    digests, crc = _measure(store, recipe)
    store.put(_LAYERS, key, json.dumps([str(digests.digest), str(digests.diff_id), digests.size, crc]).encode())
    return StoredLayer(recipe, digests, crc, measured_now=True)


def _measure(store: Store, recipe: LayerRecipe) -> tuple[LayerDigests, int]:
    """The digests, and the CRC-32 of the tar."""
    work: tuple[Callable[[], Digest | _Member], ...] = (lambda: _compressed(store, recipe), lambda: _tar_digest(store, recipe))
    compressed, diff_id = map_in_threads(lambda measure: measure(), work, 2)
    assert isinstance(compressed, _Member)
    assert isinstance(diff_id, Digest)
    return LayerDigests(compressed.digest, diff_id, compressed.size, recipe.form.media_type), compressed.crc


def _tar_digest(store: Store, recipe: LayerRecipe) -> Digest:
    state, room = hashlib.sha256(), new_room()
    for part in recipe.parts:
        crc = 0
        for chunk in part_views(store, part.data.raw, part, room):
            state.update(chunk)
            crc = crc32(chunk, crc)
        if crc != part.data.crc:
            raise damaged(store, part.data.raw, Origin(package=part.name, member="tar"))
    return Digest.sha256(state.digest())


def _compressed(store: Store, recipe: LayerRecipe) -> _Member:
    framed = recipe.form.is_framed
    begin = member.HEADER if framed else b""
    whole = hashlib.sha256(begin)
    size, crc, length, room = len(begin), 0, 0, new_room()
    for part in recipe.parts:
        own = hashlib.sha256()
        for chunk in part_views(store, part.data.slice, part, room):
            whole.update(chunk)
            own.update(chunk)
            size += len(chunk)
        if Digest.sha256(own.digest()) != part.data.slice:
            raise damaged(store, part.data.slice, Origin(package=part.name, member="compressed"))
        crc = combine(crc, part.data.crc, part.data.raw_size)
        length += part.data.raw_size
    end = member.trailer(crc, length) if framed else b""
    whole.update(end)
    return _Member(Digest.sha256(whole.digest()), size + len(end), crc)


def _write_part(store: Store, chunks: Iterable[bytes], codec: Codec, executor: Executor | None) -> SegmentData:
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
