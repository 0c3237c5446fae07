"""RE2 expressions: equal to Python's where both have the syntax, linear where Python is not, Go's templates."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.re2.matching import MAXIMUM_WORK, Expression
from apkiln.formats.re2.replacing import replace_all

ATOMS = st.sampled_from(
    ["a", "b", "c", ".", r"\d", r"\w", r"\s", "[ab]", "[^a]", "[a-c1]", r"\.", "(a|b)", "(ab)", "(?:bc)", "^", r"\b"]
)
SUFFIXES = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,3}?"])
PATTERNS = st.lists(st.tuples(ATOMS, SUFFIXES), min_size=1, max_size=5).map(
    lambda parts: "".join(atom if atom in ("^", r"\b") else atom + suffix for atom, suffix in parts)
)


@given(PATTERNS, st.text(alphabet="abc1. \n", max_size=12))
def test_finds_what_python_finds(pattern: str, text: str) -> None:
    found, wanted = Expression(pattern).search(text), re.search(pattern, text, re.ASCII)
    assert (found and (found.start, found.end)) == (wanted and wanted.span())
    if found and wanted:
        assert [found.group(number) for number in range(1, len(found.places) // 2)] == [part or "" for part in wanted.groups()]


@given(PATTERNS, st.text(alphabet="abc1.", max_size=12))
def test_replacing_with_the_whole_match_changes_nothing(pattern: str, text: str) -> None:
    assert replace_all(Expression(pattern), "$0", text) == text


@pytest.mark.parametrize(
    ("pattern", "template", "text", "wanted"),
    [
        (r"^(\d+)\.(\d+).*", "$1_$2", "1.2.3", "2"),
        (r"^(\d+)\.(\d+).*", "${1}_$2", "1.2.3", "1_2"),
        (r"(?P<major>\d+)\..*", "v$major", "12.3", "v12"),
        (r"(?<major>\d+)\..*", "v${major}$$", "12.3", "v12$"),
        (r"x*", "-", "abxc", "-a-b-c-"),
        (r"\.", r"\$1", "a.b", r"a\b"),
        (r"a", "$9$nope", "banana", "bnn"),
        (r"(?i)ABC", "x", "aBc", "x"),
        (r"(?i:A)b", "x", "ab aB", "x aB"),
        (r"(?m)^b$", "x", "a\nb\nc", "a\nx\nc"),
        (r"b$", "x", "b\n", "b\n"),
        (r"(?s)a.b", "x", "a\nb", "x"),
        (r"(?U)a+", "x", "aaa", "xxx"),
        (r"\Qa.b\E+", "x", "a.bb a.b", "xb x"),
        (r"[[:alpha:]]+", "x", "ab1cd", "x1x"),
        (r"[^[:digit:]\s]", "x", "a1 b", "x1 x"),
        (r"\x{41}\x42", "x", "AB", "x"),
        (r"a{,2}", "x", "a{,2}", "x"),
        (r"(a)|b", "[$1]", "ab", "[a][]"),
        (r"\z", "!", "a\n", "a\n!"),
    ],
)
def test_templates_and_syntax(pattern: str, template: str, text: str, wanted: str) -> None:
    assert replace_all(Expression(pattern), template, text) == wanted


@pytest.mark.parametrize(
    "pattern",
    [r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?P=x)", "a**", "*a", "(", ")", "[a", "[z-a]", "a{2,1}", "a{1001}", r"\pL", r"\Z", "\\",  # noqa: E501
     "(?P<x>a)(?P<x>b)", "[[:nope:]]", "(" * 200, "((a{1000}){1000}){1000}", "a" * 20_000, r"\xg0", "(?z)"],
)  # fmt: skip
def test_refuses_what_has_no_linear_meaning(pattern: str) -> None:
    with pytest.raises(FormatError) as caught:
        Expression(pattern)
    assert caught.value.reason == "bad-regular-expression"


def test_nested_repetitions_are_no_trap() -> None:
    assert Expression("(a+)+$").search("a" * 2000 + "b") is None
    assert Expression("(a|a)*b").search("a" * 2000) is None
    assert Expression("(a*)*").search("b") is not None


def test_work_is_bounded() -> None:
    with pytest.raises(FormatError) as caught:
        Expression("(ab?){1000}").search("a" * (MAXIMUM_WORK // 1000))
    assert caught.value.reason == "regular-expression-work"
