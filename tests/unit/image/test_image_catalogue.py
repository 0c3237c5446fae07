"""Many images of one stock of packages: each segment is compressed once, however many images have it."""

from __future__ import annotations

import random
from collections import Counter

from tests.image_workshop import CODEC, Workshop, definition
from tests.sample_packages import sample_package

from apkiln.core.value import replace

PACKAGES, IMAGES = 24, 60


def test_a_catalogue_compresses_each_distinct_segment_once() -> None:
    chance = random.Random(1)
    packages = [sample_package(f"p{number}", files={f"usr/p{number}": chance.randbytes(3000)}) for number in range(PACKAGES)]
    compressed: Counter[bytes] = Counter()

    def counted(piece: bytes) -> bytes:
        compressed[piece] += 1
        return CODEC.compress_piece(piece)

    codec = replace(CODEC, compress_piece=counted)
    shop = Workshop({"x86_64": packages}, definition(["p0"]))
    seen: set[tuple[str, ...]] = set()
    digests = set()
    while len(seen) < IMAGES:
        names = tuple(sorted(chance.sample([package.record.name for package in packages], 8)))
        if names in seen:
            continue
        seen.add(names)
        shop.define(definition(names))
        built = shop.built(codec=codec)
        digests.add(built.architectures[0].layers[0].layer.digests.digest)
        asked = set(names)
        assert {segment.files.name for segment in built.architectures[0].segments} == asked
    assert len(digests) == IMAGES
    segments = {
        piece: count for piece, count in compressed.items() if b"usr/p" in piece and b"ustar" in piece and len(piece) > 3000
    }
    own = [piece for piece in segments if piece.count(b"usr/p") == 1 and b"etc/" not in piece]
    assert len(own) == PACKAGES, "every package of the stock is in some image"
    assert {segments[piece] for piece in own} == {1}
    assert max(compressed.values()) == 1, "and nothing else is compressed twice either"
