"""Parsing and matching of dependency items (spec apk.md §9)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, FaultGroup, FormatError
from apkiln.core.origin import Origin
from apkiln.formats.apk.dependency import (
    Dependency,
    hits,
    kept_dependencies,
    parse_dependencies,
    parse_dependency,
    provided,
    satisfies,
)

IDENTITY = bytes(range(20))
PIN = "Q1" + base64.b64encode(IDENTITY).decode()

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._+,:/\[\]-]{0,8}\Z")
OPERATORS = st.sampled_from(["=", "<", "<=", ">", ">=", "~", "<~", ">~"])
ITEMS = st.builds(
    lambda name, bound, conflict, tag: Dependency(name, bound[0], bound[1], conflict, tag),
    NAMES,
    st.just(("", "")) | st.tuples(OPERATORS, st.sampled_from(["1", "1.0-r1", "2_rc1"])),
    st.booleans(),
    st.sampled_from(["", "edge", "my-tag"]),
)


@given(ITEMS)
def test_text_round_trip(item: Dependency) -> None:
    assert parse_dependency(str(item)) == item


@pytest.mark.parametrize(
    "text, operator",
    [
        ("a==1", "="), ("a=<1", "<="), ("a=>1", ">="), ("a=~1", "~"), ("a~=1", "~"), ("a~<1", "<~"), ("a<=>1", ""),
        (f"a><{PIN}", "><"),
    ],
)  # fmt: skip
def test_spellings(text: str, operator: str) -> None:
    assert parse_dependency(text).operator == operator


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a=", "bad-version"), ("foo==", "bad-version"), ("a=1@edge", "bad-version"), (f"a={PIN}", "bad-version"),
        ("a<v1", "bad-version"),
        ("a><1", "bad-identity"), ("a><Q1AAAA", "bad-identity"), ("a!=1", "bad-name"), ("a@", "bad-tag"), ("a@x/y", "bad-tag"),
        ("!", "bad-dependency"), ("=1", "bad-dependency"), ("", "bad-dependency"), ("a*b", "bad-name"),
    ],
)  # fmt: skip
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_dependency(text)
    assert caught.value.reason == reason


def test_the_hint_for_an_unequal_sign_names_both_items() -> None:
    with pytest.raises(FormatError) as caught:
        parse_dependency("zlib!=1.2")
    assert "`zlib` and `!zlib=1.2`" in caught.value.hint


def test_an_index_may_name_anything_but_no_tags() -> None:
    assert parse_dependency("a!=1", lenient=True) == Dependency("a!", "=", "1")
    assert parse_dependency("=1", lenient=True) == Dependency("", "=", "1")
    assert parse_dependency("!", lenient=True) == Dependency("", conflict=True)
    assert parse_dependency("a><x", lenient=True) == Dependency("a", "><", "x")
    with pytest.raises(FormatError):
        parse_dependency("a@edge", lenient=True)


def test_all_faults_of_a_list_are_raised_with_their_places() -> None:
    with pytest.raises(FaultGroup) as caught:
        parse_dependencies("good bad=v1\n  worse! d!=2", origin=Origin("world", line=4, column=10))
    assert [(fault.origin.line, fault.origin.column) for fault in caught.value.faults] == [(4, 15), (5, 3), (5, 10)]
    assert {fault.origin.source for fault in caught.value.faults} == {"world"}


def test_a_list_keeps_its_order() -> None:
    assert [str(item) for item in parse_dependencies("b a>1\n!c")] == ["b", "a>1", "!c"]


@pytest.mark.parametrize(
    "item, version, holds",
    [
        ("x", "", True), ("x<5", "", True), ("x<=5", "", True), ("x>=0", "", False), ("x=9", "", False), ("x~9", "", False),
        ("!x", "", False), ("!x<5", "", False), ("!x>5", "", True), ("x>=5.0", "5.2-release", True),
        ("x", "v1", True), ("x<1", "v1", True),
    ],
)  # fmt: skip
def test_matching_of_provides(item: str, version: str, holds: bool) -> None:
    assert satisfies(parse_dependency(item), "x", version) is holds


def test_other_names_neither_satisfy_nor_hit() -> None:
    assert not satisfies(parse_dependency("x"), "y", "1")
    assert satisfies(parse_dependency("!x"), "y", "1")


def test_identity_pins() -> None:
    pin = parse_dependency(f"a><{PIN}")
    assert hits(pin, "1", IDENTITY)
    assert hits(parse_dependency(f"a><X1{IDENTITY.hex()}"), "1", IDENTITY)
    assert not hits(pin, "1", bytes(20))
    assert not hits(pin, "1")


@pytest.mark.parametrize("text, value", [("so:x=1", ("so:x", "1")), ("/bin/sh", ("/bin/sh", "")), ("z=v1", ("z", "v1"))])
def test_provides(text: str, value: tuple[str, str]) -> None:
    assert provided(text) == value


@pytest.mark.parametrize(
    "text, value",
    [
        ("!x", ("x", "")),
        ("x>1", ("x", "1")),
        ("!x~1", ("x", "1")),
        ("x><Q1", ("x", "Q1")),
        ("=1", ("", "1")),
        ("!=1", ("", "1")),
        ("!", ("", "")),
    ],
)
def test_what_apk_passes_over_in_provides(text: str, value: tuple[str, str]) -> None:
    assert provided(text, lenient=True) == value
    with pytest.raises(ApkilnError):
        provided(text)


@pytest.mark.parametrize(
    "text, kept",
    [
        ("a<x d", "a<x d"),
        ("d !a=1=", "d !a=1="),
        ("d a>", "d"),
        ("a> d", ""),
        ("d a@edge c", "d"),
        ("d =1", "d =1"),
    ],
)
def test_what_apk_keeps_of_a_bad_list(text: str, kept: str) -> None:
    assert " ".join(map(str, kept_dependencies(text))) == kept


@pytest.mark.parametrize("text", ["", "x=", "x>", "x@edge", "x@edge=1", "="])
def test_lenient_reading_of_provides_has_an_end(text: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        provided(text, lenient=True)
    assert caught.value.reason == "bad-provide"


@pytest.mark.parametrize("text", ["", "=1", "x=", "!x", "x>1", "x~1", "x@edge"])
def test_bad_provides(text: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        provided(text)
    assert caught.value.reason == "bad-provide"
