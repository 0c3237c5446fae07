"""Indexes: both readers of records agree, what is written is read back, every attack is refused (spec apk.md §3, §12.3, §19)."""

from __future__ import annotations

import random
import re
import zlib
from base64 import b64encode
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crafted_packages import END, block, control_file, gz, identity, index, index_record, padded
from tests.sample_packages import keyring_of, sample_signer

from apkiln.core.errors import ApkilnError, FormatError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.value import replace
from apkiln.formats.apk import signature
from apkiln.formats.apk.index import index_text, parse_index_text, read_any_index, read_index, record_faults, write_index
from apkiln.formats.apk.index_names import Postings
from apkiln.formats.apk.index_table import IndexTable, write_table
from apkiln.formats.apk.index_text import format_record, scan_index_text
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.tar_rules import COMPAT
from apkiln.formats.deflate.codec import canonical_codec

WORDS = st.text("abcz", min_size=1, max_size=6)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=15)
ITEMS = st.lists(st.sampled_from(["so:libc.so.6", "a", "cmd:x=1.0-r0"]), max_size=3, unique=True).map(" ".join)
RECORDS = st.lists(
    st.builds(
        IndexRecord, name=WORDS.map("p-".__add__), version=st.sampled_from(["1", "1.0-r0", "2_rc1", "10"]),
        arch=st.sampled_from(["x86_64", "noarch"]), identity=st.binary(min_size=20, max_size=20), size=st.integers(0, 1 << 50),
        installed_size=st.integers(0, 1 << 62), description=TEXTS, url=TEXTS, license=TEXTS, origin=WORDS | st.just(""),
        maintainer=TEXTS, build_date=st.integers(0, 1 << 40), commit=st.just("0" * 40) | st.just(""),
        provider_priority=st.integers(0, 100), depends=ITEMS, provides=ITEMS, install_if=ITEMS,
        replaces=st.just(""), replaces_priority=st.just(0), repository_tag=st.just(""), flags=st.just(""),
    ),
    max_size=5, unique_by=(lambda record: record[:2], lambda record: record.identity),
)  # fmt: skip


def refusal(text: str | bytes, limits: Limits = DEFAULT_LIMITS) -> FormatError:
    with pytest.raises(FormatError) as caught:
        parse_index_text(text.encode() if isinstance(text, str) else text, limits)
    return caught.value


@given(records=RECORDS)
def test_round_trip(records: list[IndexRecord]) -> None:
    content = index_text(records)
    found = parse_index_text(content)
    assert sorted(found.records) == sorted(records) and found.warnings == ()
    assert index_text(found.records) == content


@given(records=RECORDS, letters=st.permutations("CPVASITULomtckDpi"), blank=st.booleans())
def test_the_order_of_lines_and_the_last_blank_do_not_matter(records: list[IndexRecord], letters: list[str], blank: bool) -> None:
    """Shuffled records take the general path, canonical ones the fast path: they are each other's oracle."""
    blocks = []
    for record in records:
        lines = dict(line.split(":", 1) for line in format_record(record).splitlines())
        blocks.append("".join(f"{letter}:{lines[letter]}\n" for letter in letters if letter in lines))
    text = "\n".join(blocks) + ("\n" if blank else "")
    assert parse_index_text(text.encode()).records == tuple(records)


@given(records=RECORDS, at=st.integers(0, 400), noise=st.text("CPVASItkDpi:\n01aQ=/ ", max_size=6))
def test_the_fast_path_never_says_something_else(records: list[IndexRecord], at: int, noise: str) -> None:
    """With its lines reversed no record takes the fast path, and damage must weigh the same."""
    text = "".join(format_record(record) + "\n" for record in records)
    damaged = text[:at] + noise + text[at:]
    blocks = [block.split("\n") for block in re.split("\n\n+", damaged.strip("\n"))]
    reversed_text = "\n\n".join("\n".join(reversed(block)) for block in blocks)

    def outcome(content: str) -> object:
        try:
            found = parse_index_text(content.encode())
        except FormatError as fault:
            assert refused_by_scan(content) == fault.reason
            return "refused"
        outline = scan_index_text(content.encode())
        fields = [(record.name, record.provides, record.install_if) for record in found.records]
        columns = (outline.names, outline.provides, outline.install_if)
        assert list(zip(*([text.decode() for text in column] for column in columns), strict=True)) == fields
        assert outline.warnings == found.warnings
        assert list(IndexTable(write_table(content.encode(), outline.begins, NOTHING, NOTHING))) == list(found.records)
        return found.records

    assert outcome(damaged) == outcome(reversed_text)


def refused_by_scan(content: str) -> str:
    with pytest.raises(FormatError) as caught:
        scan_index_text(content.encode())
    return caught.value.reason


NOTHING = Postings((), ())


@given(records=RECORDS, gaps=st.lists(st.integers(2, 5), min_size=7, max_size=7))
def test_records_that_must_not_be_chosen_are_left_out(records: list[IndexRecord], gaps: list[int]) -> None:
    """With any number of empty lines around them."""
    texts = [format_record(record).removesuffix("\n") for record in records]
    bad = [index_record(0, X="future").strip(), index_record(1, V="1-1").strip()]
    blocks = [text for pair in zip_longest(bad, texts) for text in pair if text]
    text = "\n\n\n" + "".join(block + "\n" * gap for block, gap in zip(blocks, gaps, strict=False))
    usable = scan_index_text(text.encode()).usable()
    assert list(IndexTable(write_table(text.encode(), usable.begins, NOTHING, NOTHING))) == records
    assert [name.decode() for name in usable.names] == [record.name for record in records]


@given(records=RECORDS, shuffled=st.randoms(use_true_random=False))
def test_write_is_independent_of_order(records: list[IndexRecord], shuffled: random.Random) -> None:
    codec = canonical_codec()
    other = list(records)
    shuffled.shuffle(other)
    assert write_index(records, "x", codec) == write_index(other, "x", codec)


def test_records_are_sorted_by_name_version_and_identity() -> None:
    def record(name: str, version: str) -> IndexRecord:
        return IndexRecord(name, version, "x", f"{name}{version}".encode().ljust(20), 1, 1)

    texts = (("b", "1.10"), ("b", "1.9"), ("a-b", "1"), ("a", "2"), ("B", "1"), ("a.b", "1"))
    records = [record(name, version) for name, version in texts]
    names = [found.name_version for found in parse_index_text(index_text(records)).records]
    assert names == ["B-1", "a-2", "a-b-1", "a.b-1", "b-1.9", "b-1.10"]


def test_canonical_lines() -> None:
    full = IndexRecord("n", "1-r0", "x86_64", bytes(20), 3, 4, "t", "u", "l", "o", "m", 5, "c", 6, "d", "p", "i")
    assert format_record(full).splitlines() == [
        "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "P:n", "V:1-r0", "A:x86_64", "S:3", "I:4", "T:t", "U:u", "L:l", "o:o", "m:m", "t:5",
        "c:c", "k:6", "D:d", "p:p", "i:i",
    ]  # fmt: skip
    bare = IndexRecord("n", "1", "x", bytes(20), 0, 0)
    assert format_record(bare).splitlines()[4:] == ["S:0", "I:0", "T:", "U:", "L:"]


def test_signed_index() -> None:
    first, second = sample_signer(), sample_signer("second.rsa.pub")
    record = IndexRecord("n", "1-r0", "x86_64", bytes(20), 3, 4)
    content = write_index([record], "repo 7", canonical_codec(), (first, second), ("RSA256", "RSA"))
    found = read_index(content)
    assert found.description == "repo 7" and parse_index_text(found.text).records == (record,)
    assert [(item.algorithm, item.key_name) for item in found.signatures] == [
        ("RSA256", first.name), ("RSA256", second.name), ("RSA", first.name), ("RSA", second.name),
    ]  # fmt: skip
    assert content.endswith(found.signed_bytes)
    for signer in (first, second):
        assert signature.verify(found.signatures, found.signed_bytes, keyring_of(signer)) == signer.name
    with pytest.raises(VerificationError) as caught:
        signature.verify(found.signatures, found.signed_bytes + b"\0", keyring_of(first))
    assert caught.value.reason == "signature-bad"


def test_unsigned_index_signs_everything() -> None:
    content = write_index([], "x", canonical_codec())
    assert read_index(content).signed_bytes == content and read_index(content).signatures == ()
    assert zlib.decompress(content, 31).endswith(bytes(1024))


TEXT_ATTACKS = {
    "no P": (index_record(P=None), "index-field-missing"),
    "no V": (index_record(V=None), "index-field-missing"),
    "no A": (index_record(A=None), "index-field-missing"),
    "no C": (index_record(C=None), "index-field-missing"),
    "C with 19 bytes": (index_record(C="Q1" + b64encode(bytes(19)).decode()), "index-identity"),
    "C is no base64": (index_record(C="Q1???"), "index-identity"),
    "C of unknown kind": (index_record(C="Q9" + b64encode(bytes(20)).decode()), "index-identity"),
    "same C, other name": (index_record(1) + "\n" + index_record(2, C=identity(1)), "index-identity-twice"),
    "same C, other version": (index_record(1) + "\n" + index_record(1, V="2"), "index-identity-twice"),
    "S is no number": (index_record(S="x"), "index-number"),
    "S empty": (index_record(S=""), "index-number"),
    "S negative": (index_record(S="-1"), "index-number"),
    "S with sign": (index_record(S="+1"), "index-number"),
    "S in other digits": (index_record(S="١"), "index-number"),
    "S is 2^63": (index_record(S=str(1 << 63)), "index-number"),
    "I is 2^63": (index_record(I=str(1 << 63)), "index-number"),
    "I is no number": (index_record(I="1.5"), "index-number"),
    "t is no number": (index_record(t="now"), "index-number"),
    "k is no number": (index_record(k="high"), "index-number"),
    "name is a path": (index_record(P="../../etc/x"), "index-path-characters"),
    "name begins with a dot": (index_record(P=".x"), "index-path-characters"),
    "name begins with a hyphen": (index_record(P="-x"), "index-path-characters"),
    "name empty": (index_record(P=""), "index-path-characters"),
    "name with a space": (index_record(P="a b"), "index-path-characters"),
    "version is a path": (index_record(V="1/../../x"), "index-path-characters"),
    "arch is a path": (index_record(A="../x"), "index-path-characters"),
    "arch begins with a dot": (index_record(A=".."), "index-path-characters"),
    "carriage return": (index_record().replace("\n", "\r\n"), "index-line-ends"),
    "no colon": (index_record() + "garbage\n", "index-line"),
    "no letter": (index_record() + "12:x\n", "index-line"),
    "D twice": (index_record() + "D:a\nD:b\n", "index-letter-repeated"),
    "P twice": (index_record() + "P:other\n", "index-letter-repeated"),
}


@pytest.mark.parametrize("case", TEXT_ATTACKS)
def test_attack_in_the_text_is_refused(case: str) -> None:
    text, reason = TEXT_ATTACKS[case]
    good = index_record(7) + "\n"
    assert refusal(text).reason == reason
    error = refusal(good + text)
    assert error.reason == reason and (reason == "index-line-ends" or error.origin.line > good.count("\n"))


def test_faults_say_the_line_and_the_record() -> None:
    error = refusal(index_record(1) + "\n" + index_record(2, S="x"))
    assert (error.origin.line, error.origin.package) == (15, "demo2-1.0-r0")


def test_long_lines() -> None:
    limits = replace(DEFAULT_LIMITS, index_line=1000)
    assert parse_index_text(index_record(D="a" * 998).encode(), limits).records
    assert refusal(index_record(D="a" * 999), limits).reason == "index-line-too-long"
    assert len(parse_index_text(index_record(p="a " * 700_000).encode()).records[0].provides) == 1_400_000


def test_what_a_reader_lives_with() -> None:
    text = (
        index_record(0, X="future", y="future") + "\n" + index_record(1, V="1.2-1") + "\n" + index_record(2, P="über") + "\n"
        + index_record(3, D="a>=x b", p="pc:x=v2.4 so:y=1", i="c=1 !") + "\n\n\n"
        + index_record(4, F="usr", R="x", Z="Q1", q="1", r="a")
    )  # fmt: skip
    found = parse_index_text(text.encode())
    assert [record.name for record in found.records] == ["demo0", "demo1", "über", "demo3", "demo4"]
    assert [(warning.reason, warning.record, warning.letter) for warning in found.warnings] == [
        ("unknown-letter-upper", 0, "X"), ("unknown-letter-lower", 0, "y"), ("version-invalid", 1, "V"), ("name-invalid", 2, "P"),
    ]  # fmt: skip
    assert found.unusable == {0, 1, 2}
    assert "1.2-r1" in found.warnings[2].message
    assert [(warning.package, warning.letter, warning.item) for warning in found.item_warnings()] == [
        ("demo3-1.0-r0", "D", "a>=x"), ("demo3-1.0-r0", "p", "pc:x=v2.4"), ("demo3-1.0-r0", "i", "!"),
    ]  # fmt: skip


def test_identities_of_other_kinds() -> None:
    for text, expected in (
        ("Q2" + b64encode(bytes(range(32))).decode(), bytes(range(32))),
        ("X1" + bytes(range(20)).hex(), bytes(range(20))),
    ):
        assert parse_index_text(index_record(C=text).encode()).records[0].identity == expected


def test_same_package_twice_is_one_package() -> None:
    assert len(parse_index_text((index_record(1) + "\n" + index_record(1)).encode()).records) == 2
    assert len(parse_index_text((index_record(1) + "\n" + index_record(2, P="demo1")).encode()).records) == 2


def test_text_that_is_not_utf8() -> None:
    found = parse_index_text(index_record(T="@").encode().replace(b"@", b"\xff"))
    assert found.records[0].description == "\udcff" and found.warnings[0].reason == "not-utf8"


def test_one_identity_has_many_spellings() -> None:
    """The last digit holds two bits that nobody reads."""
    spelled = identity(1)[:-2] + chr(ord(identity(1)[-2]) + 1) + "="
    assert parse_index_text(index_record(C=spelled).encode()) == parse_index_text(index_record(C=identity(1)).encode())
    assert refusal(index_record(1) + "\n" + index_record(2, C=spelled)).reason == "index-identity-twice"


def test_empty_texts() -> None:
    assert parse_index_text(b"").records == parse_index_text(b"\n\n").records == ()


SIGN = block(b".SIGN.RSA256.k", b"0", 1) + padded(b"s")
FILE_ATTACKS = {
    "not gzip": (b"P:x\n" * 9, "gzip-magic"),
    "two members after the signature": (index(index_record(1), signature=SIGN, tail=gz(b"")), "index-several-members"),
    "two members": (index(index_record(1), tail=index(index_record(2))), "index-several-members"),
    "trailing bytes": (index(index_record(), tail=b"x"), "index-several-members"),
    "foreign entry": (gz(control_file(b"APKINDEX", b"") + control_file(b"evil", b"") + END), "index-foreign-entry"),
    "signature after the index": (gz(control_file(b"APKINDEX", b"") + SIGN + END), "index-foreign-entry"),
    "index twice": (gz(control_file(b"APKINDEX", b"") * 2 + END), "index-entry-repeated"),
    "no index": (gz(control_file(b"DESCRIPTION", b"x") + END), "index-missing"),
    "index is a symlink": (gz(block(b"APKINDEX", b"2", link=b"/etc/passwd") + END), "index-foreign-entry"),
    "type NUL": (gz(block(b"APKINDEX", b"\0") + END), "tar-type"),
    "only a signature": (gz(SIGN), "gzip-missing"),
    "end blocks after the signature": (index(index_record(), signature=SIGN + END), "section-end-blocks"),
    "foreign entry in the signature": (
        index(index_record(), signature=SIGN + control_file(b"x", b"")),
        "signature-foreign-entry",
    ),
    "DSA": (index(index_record(), signature=block(b".SIGN.DSA.k")), "signature-algorithm"),
    "truncated": (index(index_record())[:-4], "gzip-truncated"),
    "entry larger than the file": (gz(block(b"APKINDEX", b"0", 100_000)), "tar-truncated"),
}


@pytest.mark.parametrize("case", FILE_ATTACKS)
def test_attack_in_the_file_is_refused(case: str) -> None:
    content, reason = FILE_ATTACKS[case]
    with pytest.raises(ApkilnError) as caught:
        read_index(content)
    assert caught.value.reason == reason


def test_size_is_limited() -> None:
    with pytest.raises(FormatError) as caught:
        read_index(index(index_record()), replace(DEFAULT_LIMITS, index_decompressed=1000))
    assert caught.value.reason == "gzip-too-large"


def test_long_descriptions_are_ignored() -> None:
    assert read_index(index(index_record(), description=b"x" * 160)).description == "x" * 160
    assert read_index(index(index_record(), description=b"x" * 161)).description == ""


def test_inspection_reads_other_shapes() -> None:
    content = gz(block(b"APKINDEX", b"\0", 3) + padded(b"\n\n\n") + SIGN + END)
    found = read_index(content, rules=COMPAT)
    assert [report.reason for report in found.reports] == ["tar-type", "index-foreign-entry"]
    assert read_any_index(index_record().encode())[1].records[0].name == "demo0"
    assert read_any_index(index(index_record()))[0].description == "test"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "a/b"}, "record-name"),
        ({"version": "1.0-1"}, "record-version"),
        ({"version": "1" * 19}, "record-version"),
        ({"arch": ".."}, "record-arch"),
        ({"description": "a\nP:evil"}, "record-field"),
        ({"maintainer": "a\tb"}, "record-field"),
        ({"identity": b"short"}, "record-identity"),
        ({"size": -1}, "record-number"),
        ({"installed_size": 1 << 63}, "record-number"),
        ({"depends": "a>=x"}, "record-dependency"),
        ({"provides": "pc:x=v1"}, "record-dependency"),
        ({"install_if": "a=" + "1" * 19}, "record-dependency"),
        ({"provides": "n=1"}, "record-own-name"),
    ],
)
def test_nothing_bad_is_written(changes: dict[str, Any], reason: str) -> None:
    record = IndexRecord("n", "1-r0", "x86_64", bytes(20), 3, 4)._replace(**changes)
    assert [fault.reason for fault in record_faults(record)] == [reason]
    with pytest.raises(FormatError) as caught:
        write_index([record], "x", canonical_codec())
    assert caught.value.reason == reason


def test_pins_and_long_digits_in_names_are_fine() -> None:
    digits = "so:lib" + "1" * 30 + ".so"
    record = IndexRecord("n", "1-r0", "x86_64", bytes(20), 3, 4, depends=f"{digits} a><{identity()}", provides=f"{digits}=1")
    assert list(record_faults(record)) == []


def test_one_version_twice_is_not_published() -> None:
    records = [IndexRecord("n", "1", "x", bytes([seed]) * 20, 3, 4) for seed in (1, 2)]
    with pytest.raises(FormatError) as caught:
        write_index(records, "x", canonical_codec())
    assert caught.value.reason == "record-twice"


@pytest.mark.parametrize("description", ["x" * 161, "a\nb"])
def test_descriptions_are_checked(description: str) -> None:
    with pytest.raises(FormatError) as caught:
        write_index([], description, canonical_codec())
    assert caught.value.reason == "index-description"
