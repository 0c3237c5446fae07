"""The digest of extended attributes."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.formats.apk.attributes import attributes_digest

RECORDED = [
    ((("user.a", b"value1"),), "rvFsG+bSU4ZEAKTfUsKPi3ur098="),
    ((("user.b", b"v2"), ("user.a", b"value1")), "KUJgDfiPGDGYy75dGUjyjxKADJA="),
]
"""Attributes and the digest apk-tools 3.0.6 wrote into an installed database for them."""


@pytest.mark.parametrize(("xattrs", "expected"), RECORDED)
def test_the_digest_is_the_one_apk_records(xattrs: tuple[tuple[str, bytes], ...], expected: str) -> None:
    assert attributes_digest(xattrs) == b64decode(expected)


def test_no_attributes_have_no_digest() -> None:
    assert attributes_digest(()) == b""


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(max_size=8), max_size=4))
def test_order_does_not_count_and_every_attribute_does(xattrs: dict[str, bytes]) -> None:
    pairs = list(xattrs.items())
    assert attributes_digest(pairs) == attributes_digest(pairs[::-1])
    if pairs:
        assert attributes_digest(pairs[1:]) != attributes_digest(pairs)
