"""Layers of zstd: the same tar in another form, under keys of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath

import pytest
from backports import zstd
from tests.image_workshop import CODEC, Workshop, definition, union
from tests.sample_packages import sample_package

from apkiln.core.digest import Digest
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.deflate.codec import ZSTD_3
from apkiln.formats.oci import media_types
from apkiln.image.layer_forms import GZIP, STORED, ZSTD, form_of
from apkiln.image.place import open_place
from apkiln.image.stored import stored_images

LAYERINGS = ("", "layering: {strategy: package, budget: 3}")


def workshop(layering: str) -> Workshop:
    packages = [sample_package("base", files={"etc/passwd": b"root:x:0:0::/root:/bin/sh\n"}), sample_package("tool")]
    return Workshop({"x86_64": packages}, definition(["base", "tool"], more=layering))


def documents(shop: Workshop, place: str) -> tuple[list[str], list[Digest | None], list[bytes]]:
    """Media types, diffIDs and bytes of the layers of a written image."""
    opened = open_place(shop.files, PurePosixPath(place), DEFAULT_LIMITS)
    layers = stored_images(opened, DEFAULT_LIMITS)[0].layers
    contents = [opened.read(layer.name, 1 << 30) for layer in layers]
    return [layer.media_type for layer in layers], [layer.diff_id for layer in layers], contents


@pytest.mark.parametrize("layering", LAYERINGS)
def test_the_tar_is_the_same_in_both_forms(layering: str) -> None:
    shop = workshop(layering)
    shop.written(shop.built(), "out/gzip")
    shop.written(shop.built(codec=ZSTD_3), "out/zstd")
    gzip_types, gzip_ids, _ = documents(shop, "out/gzip")
    zstd_types, zstd_ids, contents = documents(shop, "out/zstd")
    assert set(gzip_types) == {media_types.LAYER_GZIP}
    assert set(zstd_types) == {media_types.LAYER_ZSTD}
    assert gzip_ids == zstd_ids
    assert [Digest.sha256(hashlib.sha256(zstd.decompress(content)).digest()) for content in contents] == zstd_ids
    assert union(shop.layers("out/gzip")) == union(shop.layers("out/zstd"))


@pytest.mark.parametrize("layering", LAYERINGS)
def test_what_was_built_before_in_the_other_form_changes_nothing(layering: str) -> None:
    fresh, used = workshop(layering), workshop(layering)
    used.built(codec=CODEC)
    assert fresh.built(codec=ZSTD_3).index == used.built(codec=ZSTD_3).index
    assert fresh.built(codec=CODEC).index == used.built(codec=CODEC).index


def test_bills_name_layers_by_their_media_type() -> None:
    (name, content), *_ = workshop("").built(codec=ZSTD_3).bills
    text = json.dumps(json.loads(content))
    assert "tar%2Bzstd" in text
    assert "tar%2Bgzip" not in text, name


def test_forms_follow_from_the_codec() -> None:
    assert form_of(CODEC.name) == form_of("zlib-6-4m-v1") == GZIP
    assert form_of(ZSTD_3.name) == ZSTD
    assert [form_of(name).is_framed for name in (*STORED, ZSTD_3.name, CODEC.name)] == [False] * 4 + [True]
