from __future__ import annotations

from functools import cmp_to_key

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.library_cache import Library, comparison_key, read_cache, write_cache

NAMES = st.text("ab.-so0129", min_size=1, max_size=12)
LIBRARIES = st.lists(st.builds(lambda name, place: Library(name, f"/{place}/{name}"), NAMES, st.sampled_from("xyz")), max_size=8)


def glibc_order(left: str, right: str) -> int:
    """The comparison in the words of its definition, a step at a time."""
    if not left or not right:
        return len(left[:1]) - len(right[:1])
    digits = left[0].isdigit(), right[0].isdigit()
    if digits == (True, True):
        first, second = (len(text) - len(text.lstrip("0123456789")) for text in (left, right))
        if int(left[:first]) != int(right[:second]):
            return int(left[:first]) - int(right[:second])
        return glibc_order(left[first:], right[second:])
    if True in digits:
        return 1 if digits[0] else -1
    return ord(left[0]) - ord(right[0]) if left[0] != right[0] else glibc_order(left[1:], right[1:])


@given(st.lists(NAMES, max_size=8))
def test_the_key_sorts_as_the_loader_compares(names: list[str]) -> None:
    ordered = sorted(names, key=comparison_key)
    assert [comparison_key(name) for name in ordered] == [
        comparison_key(name) for name in sorted(names, key=cmp_to_key(glibc_order))
    ]


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "riscv64"])
@given(libraries=LIBRARIES)
def test_round_trip_in_falling_order_first_directory_wins(arch: str, libraries: list[Library]) -> None:
    rows = read_cache(write_cache(libraries, arch), arch)
    first: dict[str, str] = {}
    for library in libraries:
        first.setdefault(library.name, library.path)
    assert {row.name: row.path for row in rows} == first
    keys = [comparison_key(row.name) for row in rows]
    assert keys == sorted(keys, reverse=True)


def test_a_name_shares_the_text_of_its_path() -> None:
    short = write_cache([Library("libx.so.1", "/usr/lib/libx.so.1")], "x86_64")
    long = write_cache([Library("libx.so.1", "/usr/lib/libx.so.1.2")], "x86_64")
    assert len(long) > len(short)


@pytest.mark.parametrize("cut", [0, 19, 40, 60, 80])
def test_a_cut_cache_is_refused(cut: int) -> None:
    data = write_cache([Library("libx.so.1", "/usr/lib/libx.so.1")], "x86_64")
    with pytest.raises(FormatError):
        read_cache(data[:cut], "x86_64")
