"""Index bytes follow from the listing alone, whatever way led to it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from tests.sample_packages import keyring_of, sample_signer

from apkiln.formats.apk.index import index_text, read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.signature import verify
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.generations import (
    IndexImage,
    changed_image,
    full_image,
    index_bytes,
    retained_generations,
    sums_bytes,
)
from apkiln.repository.ledger.actions import Indexed
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Package, record_of
from apkiln.repository.ledger.state import Generation

CODEC = canonical_codec()
DAY = 86_400_000


def package(name: str, version: str = "1.0-r0", **fields: object) -> Package:
    seed = f"{name}-{version}".encode().hex()[:40].ljust(40, "0")
    wide = seed.ljust(64, "0")
    return Package("x86_64", name, version, wide, 10, wide, seed, wide, **fields)  # type: ignore[arg-type]


POOL = [package(f"{letter}{number}", f"{version}-r0") for letter in "abz" for number in range(400) for version in (1, 2)]
"""Enough names that some dozen cuts fall among them."""
choices = st.lists(st.sampled_from(POOL), unique_by=lambda item: item.key, max_size=60)


@given(st.lists(st.tuples(choices, choices), max_size=6), st.booleans())
def test_incremental_equals_full(steps: list[tuple[list[Package], list[Package]]], crowded: bool) -> None:
    listing = {item.key: item for item in (POOL if crowded else ())}
    image = full_image(listing.values(), CODEC)
    for wanted, unwanted in steps:
        removed = tuple(item for item in unwanted if item.key in listing)
        for item in removed:
            del listing[item.key]
        gone = {item.key for item in removed}
        added = tuple(item for item in wanted if item.key not in listing and item.key not in gone)
        listing.update((item.key, item) for item in added)
        image = changed_image(image, ListingChange(added, removed), CODEC)
    assert image == full_image(listing.values(), CODEC)
    assert index_bytes(image, "r 1", CODEC, []) == index_bytes(full_image(listing.values(), CODEC), "r 1", CODEC, [])


def test_order_of_arrival_has_no_effect_and_cuts_exist() -> None:
    shuffled = POOL[:]
    random.Random(7).shuffle(shuffled)
    image = full_image(shuffled, CODEC)
    assert image == full_image(POOL, CODEC)
    assert len(image.pieces) > 3
    assert image.size == len(POOL)


def test_a_change_leaves_other_pieces_alone() -> None:
    image = full_image(POOL, CODEC)
    changed = changed_image(image, ListingChange((package("a7", "3-r0"),), ()), CODEC)
    assert sum(piece not in image.pieces for piece in changed.pieces) == 1


def test_every_reader_reads_it_as_the_plain_index() -> None:
    signer = sample_signer()
    items = [package("b", depends=("a>=1", "so:x"), origin="src"), package("a", "2-r0", description="text"), package("a")]
    image = full_image(items, CODEC)
    index = read_index(index_bytes(image, "os 7", CODEC, [signer]))
    assert verify(index.signatures, index.signed_bytes, keyring_of(signer)) == signer.name
    assert index.description == "os 7"
    assert index.text == index_text(map(record_of, items))
    assert [record.name_version for record in parse_index_text(index.text).records] == ["a-1.0-r0", "a-2-r0", "b-1.0-r0"]
    assert index.text.endswith(b"\n\n"), "apko stores a record only at a blank line"


def test_an_empty_index() -> None:
    assert read_index(index_bytes(IndexImage(), "os 1", CODEC, [])).text == b""


def test_sums_name_every_file() -> None:
    image = full_image([package("a"), package("b")], CODEC)
    lines = sums_bytes({"x86_64": image}).decode().splitlines()
    assert lines == [f"{item.digest}  x86_64/{item.key.file}" for item in (package("a"), package("b"))]


def generation(number: int, day: int) -> Generation:
    indexed = Indexed(number, number - 1, (), (), "", "", "", 0, 0, (), "")
    return Generation(number, indexed, day * DAY, "", "", "", 0)


def test_old_generations_thin_out() -> None:
    all_of_them = [generation(1, 0), generation(2, 0), generation(3, 1), generation(4, 1), generation(5, 9), generation(6, 10)]
    assert retained_generations(all_of_them, [], 11 * DAY, 2, 100) == {1, 3, 5, 6}
    assert retained_generations(all_of_them, [2], 11 * DAY, 2, 10) == {2, 3, 5, 6}
    assert retained_generations(all_of_them, [], 500 * DAY, 2, 10) == {6}, "the newest stays"


def test_a_piece_that_loses_its_first_name_joins_the_one_before() -> None:
    image = full_image(POOL, CODEC)
    for piece in image.pieces[1:]:
        gone = tuple(item for item in piece.packages if item.name == piece.packages[0].name)
        kept = [item for item in POOL if item not in gone]
        changed = changed_image(image, ListingChange((), gone), CODEC)
        assert changed == full_image(kept, CODEC)
        assert changed_image(changed, ListingChange(gone, ()), CODEC) == image
