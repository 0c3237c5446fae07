"""Debian's version order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.deb.version import compare, is_valid, matches, parse_version, sort_key

UPSTREAM = st.text("0123456789abzAZ.+~", min_size=1, max_size=8)
VERSIONS = st.builds(
    lambda epoch, upstream, revision: epoch + upstream + revision,
    st.sampled_from(["", "0:", "1:", "12:"]),
    UPSTREAM,
    st.one_of(st.just(""), UPSTREAM.map(lambda text: f"-{text}")),
)

ORDERED_TEXT = """
1.0~~ 1.0~~a 1.0~ 1.0~beta1 1.0~rc1 1.0 1.0-0.1 1.0-1~bpo1 1.0-1 1.0-1+b1 1.0-1.1 1.0-2 1.0a 1.0+dfsg 1.0.0 1.0.1
1.2.9 1.2.10 2 9.2p1 9.2p1-2+deb12u2 9.2p1-2+deb12u10 10 20230101 0:20230102 1:0.1~ 1:0.1 2:0
"""
ORDERED = ORDERED_TEXT.split()

EQUAL = [("1.0", "1.0-0"), ("1.0", "0:1.0"), ("1.05", "1.5"), ("1.0-00", "1.0"), ("1.", "1.0"), ("a", "a0"), ("1.0-1", "1.0-01")]


def test_a_written_order_holds_pairwise() -> None:
    for low, left in enumerate(ORDERED):
        for high, right in enumerate(ORDERED):
            assert compare(left, right) == (low > high) - (low < high), (left, right)


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal_spellings(left: str, right: str) -> None:
    assert compare(left, right) == 0
    assert sort_key(left) == sort_key(right)


@pytest.mark.parametrize("text", ["", ":1", "a:1", "1 0", "1-", "-1", "1_0", "1:", "1.0-a_b", "1/2", "1" * 600, "1.0\n"])
def test_refused(text: str) -> None:
    assert not is_valid(text)
    with pytest.raises(FormatError) as caught:
        parse_version(text)
    assert caught.value.reason == "version-syntax"


def test_parts() -> None:
    assert parse_version("2:1.0-rc-3~a") == (2, "1.0-rc", "3~a")
    assert parse_version("1:2:3-4") == (1, "2:3", "4")


@given(VERSIONS, VERSIONS, VERSIONS)
def test_a_total_order(first: str, second: str, third: str) -> None:
    assert compare(first, first) == 0
    assert compare(first, second) == -compare(second, first)
    if compare(first, second) <= 0 and compare(second, third) <= 0:
        assert compare(first, third) <= 0


@given(VERSIONS)
def test_a_tilde_sorts_before_the_end_and_everything_else_after(version: str) -> None:
    assert compare(version + "~", version) < 0
    assert compare(version + "+", version) > 0
    assert compare(version + "a", version) > 0


@given(VERSIONS, VERSIONS)
def test_operators_agree_with_the_order(left: str, right: str) -> None:
    order = compare(left, right)
    assert matches(left, "<<", right) == (order < 0)
    assert matches(left, "<=", right) == (order <= 0)
    assert matches(left, "=", right) == (order == 0)
    assert matches(left, ">=", right) == (order >= 0)
    assert matches(left, ">>", right) == (order > 0)
    assert matches(left, "", right)
