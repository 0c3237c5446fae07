"""Layers out of stored parts: the bytes, the digests, and damage that must be noticed."""

from __future__ import annotations

import gzip
import hashlib
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.errors import VerificationError
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.image.assembling import measure_layer, store_part
from apkiln.image.layer_recipe import LayerDigests, LayerPart, LayerRecipe, StoredLayer
from apkiln.image.layer_writing import member_chunks, tar_chunks, write_layer
from apkiln.system.memory_store import MemoryStore

CODEC = canonical_codec()
CONTENTS = st.lists(st.binary(max_size=3000), min_size=1, max_size=5)


def stored_recipe(store: MemoryStore, contents: list[bytes]) -> LayerRecipe:
    return LayerRecipe(tuple(part(store, f"part-{number}", content) for number, content in enumerate(contents)))


def part(store: MemoryStore, name: str, content: bytes) -> LayerPart:
    chunks = [content[start : start + 700] for start in range(0, len(content), 700)]
    return store_part(store, name, hashlib.sha256(content).hexdigest(), lambda: chunks, CODEC)


@given(CONTENTS)
@settings(deadline=None)
def test_the_member_holds_the_parts_and_has_its_digests(contents: list[bytes]) -> None:
    store = MemoryStore()
    layer = measure_layer(store, stored_recipe(store, contents))
    output = bytearray()
    write_layer(store, layer, output.extend)
    tar = b"".join(contents)
    assert gzip.decompress(bytes(output)) == tar == b"".join(tar_chunks(store, layer.recipe))
    assert layer.digests.digest.value == hashlib.sha256(output).digest()
    assert layer.digests.diff_id.value == hashlib.sha256(tar).digest()
    assert layer.digests.size == len(output)
    assert layer.recipe.raw_size == len(tar)


@pytest.mark.parametrize("known_crc", [False, True])
def test_parts_without_a_known_checksum_are_verified_by_digest(known_crc: bool) -> None:
    """Rows of older caches, and layers of base images, have none."""
    store = MemoryStore()
    parts = stored_recipe(store, [b"first" * 100, b"second" * 100]).parts
    recipe = LayerRecipe(parts if known_crc else tuple(part._replace(data=part.data._replace(slice_crc=-1)) for part in parts))
    layer = measure_layer(store, recipe)
    output = bytearray()
    write_layer(store, layer, output.extend)
    assert layer.digests.digest.value == hashlib.sha256(output).digest()
    store.damage(parts[1].data.slice, 3)
    with pytest.raises(VerificationError):
        write_layer(store, layer, lambda chunk: None)
    again = MemoryStore()
    broken = stored_recipe(again, [b"first" * 100, b"second" * 100]).parts
    again.damage(broken[1].data.slice, 3)
    with pytest.raises(VerificationError):
        measure_layer(again, recipe)


def forged(data: bytes) -> bytes:
    """Other bytes with the same CRC-32: the generator polynomial, bit by bit, is added to the message."""
    bits = int.from_bytes(data[:8], "little") ^ int(f"{0x104C11DB7:033b}"[::-1], 2) << 9
    return bits.to_bytes(8, "little") + data[8:]


def test_a_part_that_was_forged_in_the_cache_is_refused() -> None:
    """Whoever can write to the cache can make any CRC-32: content is named by its SHA-256."""
    store = MemoryStore()
    recipe = stored_recipe(store, [random.Random(1).randbytes(3000)])
    digest = recipe.parts[0].data.slice
    stream = store.open(digest)
    assert stream is not None
    content = stream.read()
    other = forged(content)
    assert other != content and zlib.crc32(other) == zlib.crc32(content)
    store.publish(digest, other)
    with pytest.raises(VerificationError) as caught:
        measure_layer(store, recipe)
    assert caught.value.reason == "cache-entry-damaged"


@given(CONTENTS)
@settings(deadline=None)
def test_a_second_measuring_remembers_and_reads_no_part(contents: list[bytes]) -> None:
    store = MemoryStore()
    recipe = stored_recipe(store, contents)
    first = measure_layer(store, recipe)
    for digest in store.blobs():
        store.discard(digest)
    assert measure_layer(store, recipe) == first._replace(measured_now=False)


def test_a_part_is_made_once_and_again_when_its_blob_is_gone() -> None:
    store = MemoryStore()
    calls = []

    def chunks() -> list[bytes]:
        calls.append(1)
        return [b"content"]

    first = store_part(store, "a", "key", chunks, CODEC)
    assert store_part(store, "a", "key", chunks, CODEC) == first
    assert len(calls) == 1
    store.discard(first.data.slice)
    assert store_part(store, "a", "key", chunks, CODEC) == first
    assert len(calls) == 2


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("form", ["compressed", "tar"])
def test_damage_names_the_part_and_removes_it(form: str, remembered: bool) -> None:
    store = MemoryStore()
    recipe = stored_recipe(store, [b"first" * 100, b"second" * 100])
    layer = measure_layer(store, recipe) if remembered else None
    if not remembered:
        store = MemoryStore()
        recipe = stored_recipe(store, [b"first" * 100, b"second" * 100])
    data = recipe.parts[1].data
    broken = data.slice if form == "compressed" else data.raw
    store.damage(broken, 3)
    if remembered and form == "tar":
        assert layer is not None
        write_layer(store, layer, lambda chunk: None)  # the tar form is not what goes out
        return
    with pytest.raises(VerificationError) as caught:
        write_layer(store, layer or measure_layer(store, recipe), lambda chunk: None)
    assert caught.value.reason == "cache-entry-damaged"
    assert (caught.value.origin.package, caught.value.origin.member) == ("part-1", form)
    assert store.size(broken) is None


def test_a_part_that_is_gone_is_named() -> None:
    store = MemoryStore()
    recipe = stored_recipe(store, [b"first", b"second"])
    measured = measure_layer(store, recipe)
    store.discard(recipe.parts[0].data.slice)
    with pytest.raises(VerificationError) as caught:
        list(member_chunks(store, StoredLayer(recipe, measured.digests)))
    assert caught.value.origin.package == "part-0"


def test_a_wrongly_remembered_digest_is_noticed() -> None:
    store = MemoryStore()
    recipe = stored_recipe(store, [b"first"])
    digests = measure_layer(store, recipe).digests
    wrong = StoredLayer(recipe, LayerDigests(digests.diff_id, digests.diff_id, digests.size))
    with pytest.raises(VerificationError) as caught:
        write_layer(store, wrong, lambda chunk: None)
    assert caught.value.reason == "cache-entry-damaged"
    assert "layers/" in caught.value.origin.source


def test_buffers_come_round_again() -> None:
    store = MemoryStore()
    contents = [random.Random(number).randbytes(700_000 * number) for number in range(1, 5)]
    layer = measure_layer(store, stored_recipe(store, contents))
    written = bytearray()
    write_layer(store, layer, written.extend)
    assert written == b"".join(member_chunks(store, layer))
    assert gzip.decompress(written) == b"".join(contents)


def test_the_key_depends_on_parts_and_order() -> None:
    store = MemoryStore()
    recipe = stored_recipe(store, [b"first", b"second"])
    turned = LayerRecipe(recipe.parts[::-1])
    assert len({recipe.key(), turned.key(), LayerRecipe(recipe.parts[:1]).key()}) == 3


def test_a_failing_output_ends_the_hashing_thread() -> None:
    store = MemoryStore()
    layer = measure_layer(store, stored_recipe(store, [b"first"]))

    def refuse(chunk: bytes | memoryview) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_layer(store, layer, refuse)
