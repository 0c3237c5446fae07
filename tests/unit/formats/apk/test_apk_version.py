"""Laws and telling examples of the version order (spec apk.md §8)."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.formats.apk.version import compare, has_wide_number, is_prefix, is_valid, matches, sort_key

DIGITS = st.text("0123456789", min_size=1, max_size=3) | st.sampled_from(["0", "00", "01", "18446744073709551616", "9" * 20])
SUFFIX = st.tuples(st.sampled_from(["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"]), st.just("") | DIGITS)


@st.composite
def versions(draw: st.DrawFn) -> str:
    text = ".".join(draw(st.lists(DIGITS, min_size=1, max_size=4))) + draw(st.sampled_from(["", "", "a", "z"]))
    text += "".join(f"_{name}{digits}" for name, digits in draw(st.lists(SUFFIX, max_size=3)))
    text += draw(st.just("") | st.text("0123456789abcdef", min_size=1, max_size=4).map(lambda value: f"~{value}"))
    return text + draw(st.just("") | DIGITS.map(lambda value: f"-r{value}"))


ANYTHING = versions() | st.text("0123456789.abr_p~-Avr", max_size=8)

ASCENDING_TEXT = """
1.0_alpha 1.0_alpha1 1.0_alpha2 1.0_beta 1.0_pre 1.0_rc 1.0_rc0 1.0 1.0-r0 1.0~ab 1.0~abc 1.0_cvs 1.0_svn 1.0_git
1.0_hg 1.0_p 1.0_p0 1.0a 1.0b 1.0.0 1.00 1.01 1.1 1.9 1.10
"""
ASCENDING = ASCENDING_TEXT.split()
REFUSED_TEXT = """
1.0bc 1.0a1 1.0a.1 1.0-1 1.0_foo 1.0_alpha1.2 v1.0 1.0. .1 1..0 1.0-r 1.0-r1-r2 1.0A 1.0~ 1.0~AB 1.0+x 1:1.0 ١ 1.0_prex
"""


@pytest.mark.parametrize("low, high", list(pairwise(ASCENDING)))
def test_telling_neighbours(low: str, high: str) -> None:
    assert compare(low, high) == -1
    assert compare(high, low) == 1


@pytest.mark.parametrize(
    "low, high",
    [
        ("1.010", "1.1"), ("0.01", "0.1"), ("2024.01.01", "2024.1.1"), ("2024.9.1", "2024.10.1"), ("1.1a", "1.10"),
        ("1.0_rc1-r5", "1.0-r0"), ("1.0_p1", "1.0.1"), ("1.0a", "1.0a_p1"), ("1.0_alpha_beta", "1.0_alpha"),
        ("1.0_p1_alpha", "1.0_p1"), ("1_p1_git2", "1_p1_git3"), ("1.0-r1", "1.0~ab"), ("1.0-r9", "1.0-r10"),
        ("18446744073709551616", "1"), ("", "0"), ("", "0_alpha"), ("1.0_foo", "1.0"), ("v9", "0"), ("5.9-r0", "6.0_0002-r0"),
    ],
)  # fmt: skip
def test_telling_pairs(low: str, high: str) -> None:
    assert compare(low, high) == -1


@pytest.mark.parametrize("a, b", [("01", "1"), ("0001.1", "1.1"), ("1.0_p00", "1.0_p0"), ("1.0-r0", "1.0-r00"), ("", "v1")])
def test_equal_texts_of_different_spelling(a: str, b: str) -> None:
    assert compare(a, b) == 0


@pytest.mark.parametrize("text", [*REFUSED_TEXT.split(), "", "1\n", " 1"])
def test_refused(text: str) -> None:
    assert not is_valid(text)


@given(versions())
def test_the_grammar_is_accepted(text: str) -> None:
    assert is_valid(text)
    assert compare(text, text) == 0


@given(st.lists(ANYTHING, min_size=3, max_size=3))
def test_the_order_is_a_weak_order(texts: list[str]) -> None:
    a, b, c = sorted(texts, key=cmp_to_key(compare))
    assert compare(a, b) <= 0 and compare(b, c) <= 0 and compare(a, c) <= 0
    assert compare(a, b) == -compare(b, a)


@given(versions(), versions())
def test_operators_agree_with_the_order(a: str, b: str) -> None:
    order = compare(a, b)
    assert [matches(a, operator, b) for operator in ("=", "<", "<=", ">", ">=")] == [
        order == 0, order < 0, order <= 0, order > 0, order >= 0,
    ]  # fmt: skip
    prefix = matches(a, "~", b)
    assert matches(a, "<~", b) == (order < 0 or prefix)
    assert matches(a, ">~", b) == (order > 0 or prefix)
    assert matches(a, "", b)


@given(versions(), st.sampled_from([".5", "_p1", "-r7"]))
def test_a_version_matches_its_own_prefix(text: str, more: str) -> None:
    assert is_prefix(text, text)
    if is_valid(text + more):
        assert is_prefix(text + more, text)
        assert not is_prefix(text, text + more)


@pytest.mark.parametrize("version, wanted", [("3.60", "3.6"), ("3.8", "3.8.1"), ("", "0"), ("1.0", "1.0_foo")])
def test_no_prefix(version: str, wanted: str) -> None:
    assert not is_prefix(version, wanted)


def test_keys_of_versions_after_an_invalid_token_are_equal() -> None:
    assert sort_key("1.0_rc") < sort_key("1.0_foo") == sort_key("1.0_bar") < sort_key("1.0")


def test_wide_numbers_are_named() -> None:
    assert has_wide_number("1." + "1" * 19)
    assert not has_wide_number("1." + "1" * 18)


def test_an_identity_pin_is_no_version_question() -> None:
    with pytest.raises(ValueError, match="><"):
        matches("1", "><", "Q1")
