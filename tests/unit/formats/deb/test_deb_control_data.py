"""Stanzas, relations, md5sums, releases, source lists."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.formats.deb import deb822, md5sums, relations, release, sources, writer
from apkiln.formats.deb.deb822 import Stanza

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True)
LINES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="\x7f\x85\xa0"), min_size=1, max_size=20)
VALUES = st.lists(LINES, min_size=0, max_size=4).map("\n".join)
STANZAS = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=6, unique_by=lambda row: row[0].lower()).map(
    lambda rows: Stanza(tuple(rows))
)


@given(st.lists(STANZAS, min_size=1, max_size=4))
def test_stanzas_round_trip(stanzas: list[Stanza]) -> None:
    text = b"\n".join(deb822.write_stanza(stanza) for stanza in stanzas)
    assert [stanza.fields for stanza in deb822.parse_stanzas(text)] == [stanza.fields for stanza in stanzas]


def test_field_names_ignore_case_and_comments_are_skipped() -> None:
    text = b"# head\nPACKAGE: a\n# inside\nDescription: first\n second\n .\n third\n\n\nPackage: b\n"
    first, second = deb822.parse_stanzas(text)
    assert first.get("package") == "a" and "pAckage" in first
    assert first.get("Description") == "first\nsecond\n.\nthird"
    assert first.folded("Description") == "first second . third"
    assert second.line == 10


def test_text_that_is_not_utf8_is_kept() -> None:
    assert deb822.parse_stanza(b"Maintainer: Ren\xe9\n").get("Maintainer") == "Ren\u00e9"


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        (b"Package: a\npackage: b\n", "control-duplicate-field", 2),
        (b" begins with a continuation\n", "control-syntax", 1),
        (b"Package: a\nno colon\n", "control-syntax", 2),
        (b"Package: a\n: empty\n", "control-syntax", 2),
        (b"Package: a\nBad Name: x\n", "control-syntax", 2),
        (b"\n".join(b"F%d: x" % number for number in range(600)), "limit-control-fields", 501),
    ],
)
def test_bad_control_data_names_its_line(text: bytes, reason: str, line: int) -> None:
    with pytest.raises(FormatError) as caught:
        list(deb822.parse_stanzas(text, Origin("control")))
    assert (caught.value.reason, caught.value.origin.line) == (reason, line)


def test_relations() -> None:
    groups = relations.parse_relations("libc6 (>= 2.36), a:any (<< 1) | b [amd64 arm64] | c (= 1:2-3) <!nocheck>,\n d")
    assert [relations.group_text(group) for group in groups] == ["libc6 (>= 2.36)", "a:any (<< 1) | b | c (= 1:2-3)", "d"]
    assert groups[1][0].qualifier == "any"
    assert groups[1][1].architectures == ("amd64", "arm64")


def test_relations_of_other_architectures_are_left_out() -> None:
    text = "a [amd64], b [!amd64], c [linux-any], d [i386] | e, f [i386]"
    assert [relations.group_text(group) for group in relations.parse_relations(text, "amd64")] == ["a", "c", "e"]


def test_old_operators_mean_or_equal() -> None:
    (group,) = relations.parse_relations("a (< 1)")
    assert group[0].operator == "<="
    assert group[0].allows("1") and not group[0].allows("1.1")


@pytest.mark.parametrize(
    "text", ["a (>= )", "a (1)", "a b", "(>= 1)", "a (>= 1", "a [amd64", "a (>> 1_2)", "a | | b", "a (== 1)"]
)
def test_bad_relations(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        relations.parse_relations(text)
    assert caught.value.reason in ("relation-syntax", "version-syntax")


RELATION = st.builds(
    relations.Relation,
    st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,8}", fullmatch=True),
    st.sampled_from(["<<", "<=", "=", ">=", ">>"]),
    st.from_regex(r"[0-9][0-9a-z.+~]{0,6}", fullmatch=True),
    st.sampled_from(["", "any", "native"]),
    st.just(()),
)


@given(st.lists(st.lists(RELATION, min_size=1, max_size=3), max_size=4))
def test_relations_round_trip(groups: list[list[relations.Relation]]) -> None:
    value = tuple(tuple(group) for group in groups)
    assert relations.parse_relations(", ".join(map(relations.group_text, value))) == value


def test_md5sums() -> None:
    rows = (("usr/bin/a b", "0" * 32), ("etc/x", "f" * 32))
    assert md5sums.parse_md5sums(md5sums.write_md5sums(rows)) == rows
    assert md5sums.parse_md5sums(b"00000000000000000000000000000000  ./a\n") == (("a", "0" * 32),)
    for text in (b"x  a\n", b"0" * 32 + b" a\n", b"0" * 32 + b"  ../a\n", b"0" * 32 + b"  /a\n"):
        with pytest.raises(FormatError):
            md5sums.parse_md5sums(text)


def test_release() -> None:
    lists = (("main/binary-amd64/Packages", b"x\n"), ("a", b""))
    body = writer.write_release("bookworm", lists, date=1_700_000_000, valid_until=1_700_600_000)
    parsed = release.parse_release(body)
    assert (parsed.suite, parsed.date, parsed.valid_until, parsed.origin) == ("bookworm", 1_700_000_000, 1_700_600_000, "Debian")
    found = parsed.file("main/binary-amd64/Packages")
    assert found is not None and found.sha256 == hashlib.sha256(b"x\n").hexdigest() and found.size == 2
    assert parsed.file("b") is None


@pytest.mark.parametrize("body", [b"Date: never\nSHA256:\n 00 1 a\n", b"Date: Sat, 01 Jan 2022 00:00:00 UTC\n", b""])
def test_bad_release(body: bytes) -> None:
    with pytest.raises(FormatError):
        release.parse_release(body)


def test_source_lists() -> None:
    text = b"""# comment
deb [arch=amd64,arm64 signed-by=/k.gpg] http://mirror.test/debian/ trixie main contrib # why
deb-src http://mirror.test/debian trixie main
deb http://mirror.test/debian trixie-updates main
"""
    first, second = sources.parse_one_line(text, Origin("list"))
    assert (first.uri, first.suite, first.components) == ("http://mirror.test/debian", "trixie", ("main", "contrib"))
    assert (first.signed_by, first.architectures, first.origin.line) == ("/k.gpg", ("amd64", "arm64"), 2)
    assert second.signed_by == ""


def test_deb822_source_lists_round_trip() -> None:
    text = b"""Types: deb deb-src
URIs: http://a.test/x http://b.test/y/
Suites: s t
Components: main
Signed-By: /k.gpg

Types: deb
URIs: http://c.test
Suites: u
Components: main
Enabled: no

Types: deb-src
URIs: http://d.test
Suites: u
Components: main
"""
    found = sources.parse_deb822(text)
    assert [(item.uri, item.suite) for item in found] == [
        ("http://a.test/x", "s"), ("http://a.test/x", "t"), ("http://b.test/y", "s"), ("http://b.test/y", "t"),
    ]  # fmt: skip
    again = sources.parse_deb822(sources.write_deb822(found))
    assert [(item.uri, item.suite, item.signed_by) for item in again] == [
        (item.uri, item.suite, item.signed_by) for item in found
    ]


def test_embedded_keys_are_no_keyring_path() -> None:
    text = b"Types: deb\nURIs: http://a.test\nSuites: s\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    assert sources.parse_deb822(text)[0].signed_by == ""


def test_a_bad_source_line_is_named() -> None:
    with pytest.raises(FormatError) as caught:
        sources.parse_one_line(b"\nrpm http://a.test s main\n", Origin("list"))
    assert (caught.value.reason, caught.value.origin.line) == ("source-list-syntax", 2)
