"""The order of apk's table of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.solver.name_table import BUCKETS, murmur3, place


@pytest.mark.parametrize(
    ("text", "seed", "value"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\0\0\0\0", 0, 0x2362F9DE),
        (b"aaaa", 0x9747B28C, 0x5A97808A),
        (b"aaa", 0x9747B28C, 0x283E0130),
        (b"aa", 0x9747B28C, 0x5D211726),
        (b"a", 0x9747B28C, 0x7FA09EA6),
        (b"Hello, world!", 0x9747B28C, 0x24884CBA),
    ],
)
def test_the_published_vectors_of_the_hash(text: bytes, seed: int, value: int) -> None:
    assert murmur3(text, seed) == value


def test_letters_come_in_the_order_that_apk_shows() -> None:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    assert sorted(letters, key=place) == list("wxhijrofecpsulyntadkgmqvbz")


def test_pairs_of_letters_come_in_the_order_that_apk_shows() -> None:
    shown = [
        "af",
        "dc",
        "bf",
        "cc",
        "be",
        "db",
        "bc",
        "cb",
        "ae",
        "bb",
        "dd",
        "bd",
        "ad",
        "ee",
        "ef",
        "aa",
        "de",
        "ca",
        "ce",
        "ba",
        "cd",
        "ac",
        "cf",
        "ed",
        "ea",
        "eb",
        "ec",
        "df",
        "da",
        "ab",
    ]
    assert sorted(sorted(shown), key=place) == shown


@given(st.text(max_size=40), st.text(max_size=40))
def test_names_are_told_apart(one: str, two: str) -> None:
    assert (place(one) == place(two)) == (one == two)
    assert 0 <= place(one)[0] < BUCKETS


def test_names_of_one_bucket_come_last_first() -> None:
    names = ["n1622", "n2559", "n2720", "n896"]
    assert {place(name)[0] for name in names} == {place("n896")[0]}
    assert sorted(names, key=place) == ["n896", "n2720", "n2559", "n1622"]
