"""`image.remembered_images`: an image that was built before is the same image, whole or not at all."""

from __future__ import annotations

from hashlib import sha256
from pathlib import PurePosixPath

import pytest
from tests.image_workshop import Workshop, definition
from tests.sample_packages import sample_package

from apkiln.core.digest import Digest
from apkiln.core.errors import VerificationError
from apkiln.formats.deflate.codec import ZSTD_3, Codec, canonical_codec, codec_named
from apkiln.formats.oci.reference import parse_reference
from apkiln.image.finished import FinishedImage
from apkiln.image.output import OutputKind, OutputTarget, Publication, write_finished
from apkiln.image.remembered_images import image_key, remember_image, remembered_image

FILES = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\n", "usr/lib/library": b"library" * 900}
PACKAGES = {
    arch: [
        sample_package("tool", arch=arch, files={"usr/bin/tool": b"tool"}, depends=["base"]),
        sample_package("base", arch=arch, files=FILES),
    ]
    for arch in ("x86_64", "aarch64")
}
PLAIN = definition(["tool"])
BOTH = definition(["tool"], "[amd64, arm64]", "annotations: {org.example.note: 'ü'}")
LAYERED = definition(["tool"], more="layering: {strategy: origin, budget: 3}")
KEY = image_key(["this", 1])


def kept(text: str, codec: Codec | None = None) -> tuple[Workshop, FinishedImage]:
    """A machine that built and remembered an image."""
    shop = Workshop(PACKAGES, text)
    finished = shop.built(codec=codec or canonical_codec()).finished()
    remember_image(shop.store, KEY, finished)
    return shop, finished


def written(shop: Workshop, image: FinishedImage, name: str, kind: OutputKind = OutputKind.OCI_DIRECTORY) -> None:
    place = PurePosixPath("out", name)
    publication = Publication(OutputTarget(kind, str(place)), place, parse_reference("example.com/app:1"))
    write_finished(shop.files, shop.store, image, publication)


@pytest.mark.parametrize("text", [PLAIN, BOTH, LAYERED])
@pytest.mark.parametrize("codec", [canonical_codec(), codec_named(ZSTD_3.name)])
def test_what_is_remembered_is_what_was_built(text: str, codec: Codec) -> None:
    shop, finished = kept(text, codec)
    known = remembered_image(shop.store, KEY)
    assert known is not None
    assert (known.images, known.index, known.bills) == (finished.images, finished.index, finished.bills)
    assert [item.digests for item in known.layers()] == [item.digests for item in finished.layers()]
    assert [item.notices for item in known.architectures] == [item.notices for item in finished.architectures]
    for kind in (OutputKind.OCI_ARCHIVE, OutputKind.DOCKER):
        written(shop, finished, f"built-{kind.value}.tar", kind)
        written(shop, known, f"known-{kind.value}.tar", kind)
        names = [PurePosixPath("out", f"{which}-{kind.value}.tar") for which in ("built", "known")]
        assert shop.files.read(names[0], 1 << 24) == shop.files.read(names[1], 1 << 24)


def test_nothing_is_known_under_another_key() -> None:
    shop, _ = kept(PLAIN)
    assert image_key(["this", 1]) == KEY
    for described in (["this", 2], ["this"], ["this", 1, None], ["this", "1"]):
        assert remembered_image(shop.store, image_key(described)) is None


def test_an_image_that_lost_a_part_is_not_known() -> None:
    for number in range(4):
        shop, finished = kept(PLAIN)
        parts = [part.data.slice for layer in finished.layers() for part in layer.recipe.parts]
        shop.store.discard(parts[number])
        assert remembered_image(shop.store, KEY) is None
        assert shop.built().finished().index == finished.index, "it is built again"
        assert remembered_image(shop.store, KEY) is not None


def test_a_damaged_part_is_found_when_it_is_written() -> None:
    shop, finished = kept(PLAIN)
    (layer,) = finished.layers()
    shop.store.damage(layer.recipe.parts[1].data.slice)
    known = remembered_image(shop.store, KEY)
    assert known is not None
    with pytest.raises(VerificationError) as caught:
        written(shop, known, "image")
    assert caught.value.reason == "cache-entry-damaged"
    assert shop.files.status(PurePosixPath("out/image")) is None
    assert remembered_image(shop.store, KEY) is None, "the damaged part is gone: the next build makes it anew"


def test_a_damaged_bill_or_row_is_not_believed() -> None:
    shop, finished = kept(PLAIN)
    assert finished.bills
    shop.store.damage(Digest.sha256(sha256(finished.bills[0][1]).digest()))
    assert remembered_image(shop.store, KEY) is None
    shop, _ = kept(PLAIN)
    shop.store.damage_row("images", KEY)
    assert remembered_image(shop.store, KEY) is None
