"""Every row of the attack table that concerns tar and names (spec apk.md §12.3), made byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crafted_packages import END, block, directory, extended, file, padded, record

from apkiln.core.errors import FormatError
from apkiln.core.limits import DEFAULT_LIMITS, KIB, Limits
from apkiln.core.value import replace
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.structure import Structure
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import COMPAT, FOREIGN, LABELS, STRICT, TarRules
from apkiln.formats.archive.tar_writer import header


def read(data: bytes, rules: TarRules = STRICT, limits: Limits = DEFAULT_LIMITS) -> tuple[list[Entry], TarReader]:
    reader = TarReader([data], rules, limits, section="data")
    return list(reader), reader


def refusal(data: bytes, rules: TarRules = STRICT, limits: Limits = DEFAULT_LIMITS) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(data, rules, limits)
    return caught.value


def pax(*records: bytes) -> bytes:
    return extended(b"".join(records)) + block(b"x")


GOOD = block(b"x")
ATTACKS = {
    "bad checksum": (block(b"x", checksum=b"000000\0 "), "tar-checksum"),
    "checksum is no number": (block(b"x", checksum=b"xxxxxx\0 "), "tar-number"),
    "empty checksum": (block(b"x", checksum=b"        "), "tar-number"),
    "size is no octal number": (block(b"x", size=b"00000000008\0"), "tar-number"),
    "size with sign": (block(b"x", size=b"-0000000001\0"), "tar-number"),
    "size with underscore": (block(b"x", size=b"0000_000001\0"), "tar-number"),
    "empty size": (block(b"x", size=bytes(12)), "tar-number"),
    "mode is no octal number": (block(b"x", mode=b"0o00644\0"), "tar-number"),
    "base-256 size": (block(b"x", size=b"\x80" + bytes(11)), "tar-base-256"),
    "negative base-256 size": (block(b"x", size=b"\xff" * 12), "tar-base-256"),
    "base-256 uid": (block(b"x", uid=b"\x80\0\0\0\0\0\0\x01"), "tar-base-256"),
    "size beyond the member": (block(b"x", size=600) + bytes(512), "tar-truncated"),
    "cut header": (GOOD[:300], "tar-truncated"),
    "padding missing": (block(b"x", size=3) + b"abc" + GOOD[:100], "tar-truncated"),
    "type NUL": (block(b"x", b"\0"), "tar-type"),
    "unknown type": (block(b"x", b"Z"), "tar-type"),
    "sparse": (block(b"x", b"S"), "tar-type"),
    "multi-volume": (block(b"x", b"M"), "tar-type"),
    "volume label": (block(b"x", b"V"), "tar-type"),
    "dump directory": (block(b"x", b"D"), "tar-type"),
    "v7 magic": (block(b"x", magic=bytes(8)), "tar-magic"),
    "sparse by PAX": (pax(record("GNU.sparse.major", "1")), "pax-sparse"),
    "PAX length too small": (pax(b"10 comment=abc\n"), "pax-length"),
    "PAX length too large": (pax(b"99 comment=abc\n"), "pax-length"),
    "PAX length no number": (pax(b"x comment=abc\n"), "pax-length"),
    "PAX length negative": (pax(b"-5 comment=abc\n"), "pax-length"),
    "PAX length missing": (pax(b"comment=abc\n"), "pax-length"),
    "PAX length zero": (pax(b"0 comment=abc\n"), "pax-length"),
    "PAX without equals": (pax(b"13 commentabc\n"), "pax-length"),
    "PAX newline missing": (pax(b"14 comment=abcX"), "pax-newline"),
    "PAX NUL in value": (pax(record("comment", b"a\0b")), "pax-nul"),
    "PAX NUL in keyword": (pax(record(b"com\0ment", b"a")), "pax-keyword"),
    "PAX empty keyword": (pax(record(b"", b"a")), "pax-keyword"),
    "PAX duplicate keyword": (pax(record("path", "a"), record("path", "b")), "pax-duplicate"),
    "PAX number": (pax(record("uid", "0x10")), "pax-number"),
    "PAX negative uid": (pax(record("uid", "-1")), "pax-number"),
    "PAX time": (pax(record("mtime", "now")), "pax-number"),
    "PAX over 64 KiB": (extended(record("comment", b"a" * 65536)) + GOOD, "tar-pax-too-large"),
    "PAX size differs": (extended(record("size", "700")) + block(b"x", size=3) + padded(b"abc"), "tar-pax-size"),
    "PAX without entry": (extended(record("comment", "a")) + END, "tar-pax-without-entry"),
    "PAX without anything": (extended(record("comment", "a")), "tar-pax-without-entry"),
    "PAX twice": (extended(record("comment", "a")) * 2 + GOOD, "tar-pax-repeated"),
    "global header that renames": (extended(record("path", "etc/passwd"), b"g") + GOOD, "tar-pax-global"),
    "GNU long link": (extended(b"etc/passwd\0", b"K") + block(b"x", b"2", link=b"y"), "tar-long-link"),
    "GNU long name without entry": (extended(b"name\0", b"L") + END, "tar-pax-without-entry"),
    "one zero block": (GOOD + bytes(512), "tar-lone-zero-block"),
    "entry after the end": (GOOD + END + GOOD, "tar-data-after-end"),
    "bytes after the end": (GOOD + END + b"\0x", "tar-data-after-end"),
    "directory with content": (block(b"x", b"5", size=3) + padded(b"abc"), "tar-size-on-type"),
    "symlink with content": (block(b"x", b"2", size=3, link=b"y") + padded(b"abc"), "tar-size-on-type"),
    "empty name": (block(b""), "name-empty"),
    "absolute name": (block(b"/etc/passwd"), "name-absolute"),
    "parent component": (block(b"usr/../../etc/passwd"), "name-dot-dot-component"),
    "parent component at the end": (block(b"usr/.."), "name-dot-dot-component"),
    "dot component": (block(b"usr/./x"), "name-dot-component"),
    "leading dot": (block(b"./usr/x"), "name-dot-component"),
    "root": (block(b"./", b"5"), "name-dot-component"),
    "double slash": (block(b"usr//x"), "name-double-slash"),
    "trailing slash on a file": (block(b"usr/x/"), "name-trailing-slash"),
    "newline": (block(b"usr/x\nR:evil"), "name-control-character"),
    "tab": (block(b"a\tb"), "name-control-character"),
    "delete": (block(b"a\x7fb"), "name-control-character"),
    "newline by PAX": (pax(record("path", "a\nb")), "name-control-character"),
    "parent component by PAX": (pax(record("path", "../x")), "name-dot-dot-component"),
    "parent component by prefix": (block(b"x", prefix=b".."), "name-dot-dot-component"),
    "absolute by prefix": (block(b"x", prefix=b"/"), "name-absolute"),
    "parent component by GNU name": (extended(b"../x\0", b"L") + GOOD, "name-dot-dot-component"),
    "component over 255 bytes": (pax(record("path", "a/" + "é" * 128)), "name-component-too-long"),
    "path over 4096 bytes": (pax(record("path", "/".join(["a" * 200] * 21))), "name-too-long"),
    "empty link text": (block(b"x", b"2"), "tar-link-target"),
    "newline in a link text": (block(b"x", b"2", link=b"a\nb"), "tar-link-target"),
    "long link text": (extended(record("linkpath", "a/" * 3000)) + block(b"x", b"2"), "tar-link-target"),
    "hard link outside": (block(b"x", b"1", link=b"../etc/shadow"), "tar-link-target"),
    "absolute hard link": (block(b"x", b"1", link=b"/etc/shadow"), "tar-link-target"),
    "newline in an owner": (block(b"x", uname=b"ro\not"), "tar-owner-name"),
    "colon in an owner": (block(b"x", uname=b"root:x"), "tar-owner-name"),
}


@pytest.mark.parametrize("case", ATTACKS)
def test_attack_is_refused(case: str) -> None:
    data, reason = ATTACKS[case]
    error = refusal(data)
    assert error.reason == reason
    assert error.origin.member.startswith("data")
    assert error.origin.offset >= 0


@pytest.mark.parametrize("case", ATTACKS)
def test_names_and_damage_are_refused_by_every_reader(case: str) -> None:
    """A tolerant reader lives with odd shapes, never with a name that leads elsewhere."""
    data, reason = ATTACKS[case]
    if reason in {"name-absolute", "name-dot-dot-component", "name-control-character", "tar-truncated", "name-empty"}:
        for rules in (COMPAT, FOREIGN):
            assert refusal(data, rules).reason == reason


def test_the_offset_is_that_of_the_entry() -> None:
    error = refusal(directory(b"usr") + file(b"usr/a", b"abc") + block(b"/x"))
    assert (error.origin.offset, error.origin.member) == (512 + 1024 + 1024, "data//x")


def test_messages_never_carry_control_characters() -> None:
    assert refusal(block(b"a\x1b[2Jb")).origin.member == "data/a\\x1b[2Jb"


def test_entry_count_is_limited() -> None:
    limits = replace(DEFAULT_LIMITS, archive_entries=3)
    assert len(read(GOOD * 3, limits=limits)[0]) == 3
    assert refusal(GOOD * 4, limits=limits).reason == "tar-too-many-entries"
    assert refusal((extended(record("comment", "a")) + GOOD) * 2, limits=limits).reason == "tar-too-many-entries"


def test_content_size_is_limited() -> None:
    limits = replace(DEFAULT_LIMITS, data_decompressed=10 * KIB)
    assert refusal(block(b"x", size=10 * KIB + 1), limits=limits).reason == "tar-content-size"


def test_invalid_utf8_is_kept_and_reported() -> None:
    entries, reader = read(block(b"a\xff"))
    assert entries[0].path == "a\udcff"
    assert [report.reason for report in reader.reports] == ["name-not-utf8"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (block(b"x", checksum=b"000000\0 "), "tar-checksum"),
        (block(b"x", b"\0"), "tar-type"),
        (GOOD + bytes(512), "tar-lone-zero-block"),
        (block(b"./x"), "name-dot-component"),
        (extended(record("path", "y"), b"g") + GOOD, "tar-pax-global"),
        (block(b"x", b"2", size=3, link=b"y") + padded(b"abc"), "tar-size-on-type"),
    ],
)
def test_a_tolerant_reader_reports(data: bytes, reason: str) -> None:
    entries, reader = read(data, COMPAT)
    assert [entry.path for entry in entries] == ["x"]
    assert [report.reason for report in reader.reports] == [reason]


def test_a_tolerant_reader_skips_unknown_types() -> None:
    entries, reader = read(block(b"a", b"Z", size=3) + padded(b"abc") + GOOD, COMPAT)
    assert [entry.path for entry in entries] == ["x"]
    assert reader.reports[0].reason == "tar-type"


def test_foreign_archives_may_use_gnu_shapes() -> None:
    """Debian's and Docker's archives: `./`, root entry, base-256 numbers, long link texts, GNU magic with bytes in the prefix."""
    gnu = {"magic": b"ustar  \0", "prefix": b"\x01\x02"}
    data = directory(b"./") + block(b"./usr/", b"5", **gnu) + extended(b"./usr/" + b"n" * 120 + b"\0", b"L")
    data += block(b"./usr/nnn", b"0", uid=b"\x80\0\0\0\0\x20\0\0", **gnu)
    data += extended(b"t" * 150 + b"\0", b"K") + block(b"./usr/link", b"2", link=b"ttt", **gnu)
    data += block(b"./usr/hard", b"1", link=b"./usr/link")
    entries, reader = read(data + END, FOREIGN)
    assert [entry.path for entry in entries] == ["usr", "usr/" + "n" * 120, "usr/link", "usr/hard"]
    assert [entry.target for entry in entries] == ["", "", "t" * 150, "usr/link"]
    assert entries[1].uid == 0x200000
    assert reader.reports == [] and reader.end_blocks


def test_pax_size_counts_for_foreign_archives() -> None:
    data = extended(record("size", "600")) + block(b"x", size=0) + padded(bytes(600)) + GOOD
    assert [entry.size for entry in read(data, FOREIGN)[0]] == [600, 0]


def test_labels_are_no_paths() -> None:
    assert read(block(b"a-1.Q1ab//cd=.trigger"), LABELS)[0][0].path == "a-1.Q1ab//cd=.trigger"
    assert refusal(block(b"a\nb"), LABELS).reason == "name-control-character"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("10", 10), ("10.4", 10), ("10.5", 11), ("10.49999", 10), ("7.", 7), ("-3", -3), ("-3.5", -3), ("-3.51", -4), ("-3.4", -3)],
)
def test_fractions_of_times_are_rounded(value: str, expected: int) -> None:
    assert read(pax(record("mtime", value)))[0][0].mtime == expected


@given(data=st.binary(max_size=3000), at=st.integers(0, 2000), rules=st.sampled_from([STRICT, COMPAT, FOREIGN]))
def test_random_bytes_never_crash(data: bytes, at: int, rules: TarRules) -> None:
    """Whatever comes: entries, or a FormatError."""
    base = directory(b"usr") + file(b"usr/a", b"abc", pax=record("comment", "abc")) + END
    mixed = base[:at] + data + base[at:]
    try:
        for entry in TarReader([mixed], rules):
            assert entry.path and ".." not in entry.path.split("/") and not entry.path.startswith("/")
            header(entry._replace(path="x", target=entry.target and "y", pax=(), xattrs=()))
    except FormatError as error:
        assert error.reason


DIRECTORY = Entry("usr", EntryType.DIRECTORY, 0o755)
FILE = Entry("usr/a", EntryType.FILE)
LINK = Entry("usr/l", EntryType.SYMLINK, target="/etc")
STRUCTURES = {
    "good": ([DIRECTORY, FILE, LINK, Entry("usr/h", EntryType.HARDLINK, target="usr/a"), DIRECTORY], ""),
    "top level": ([Entry("a", EntryType.FILE)], ""),
    "link to a link's name": (
        [DIRECTORY, FILE, Entry("b", EntryType.HARDLINK, target="usr/a"), Entry("c", EntryType.HARDLINK, target="b")],
        "",
    ),
    "file twice": ([DIRECTORY, FILE, FILE], "path-repeated"),
    "other type": ([DIRECTORY, FILE, Entry("usr/a", EntryType.DIRECTORY)], "path-repeated"),
    "directory, then symlink": ([DIRECTORY, Entry("usr", EntryType.SYMLINK, target="/etc")], "path-repeated"),
    "other mode": ([DIRECTORY, DIRECTORY._replace(mode=0o700)], "path-repeated"),
    "missing parent": ([FILE], "parent-missing"),
    "below a file": ([DIRECTORY, FILE, Entry("usr/a/b", EntryType.FILE)], "path-below-file"),
    "through a symlink": ([DIRECTORY, LINK, Entry("usr/l/passwd", EntryType.FILE)], "path-through-symlink"),
    "deep through a symlink": ([DIRECTORY, LINK, Entry("usr/l/a/b/c", EntryType.DIRECTORY)], "path-through-symlink"),
    "link to nothing": ([DIRECTORY, Entry("usr/h", EntryType.HARDLINK, target="etc/shadow")], "hardlink-target-missing"),
    "link to a later entry": ([DIRECTORY, Entry("usr/h", EntryType.HARDLINK, target="usr/a"), FILE], "hardlink-target-missing"),
    "link to itself": ([DIRECTORY, Entry("usr/h", EntryType.HARDLINK, target="usr/h")], "hardlink-target-missing"),
    "link to a symlink": ([DIRECTORY, LINK, Entry("usr/h", EntryType.HARDLINK, target="usr/l")], "hardlink-to-symlink"),
    "link to a directory": ([DIRECTORY, Entry("usr/h", EntryType.HARDLINK, target="usr")], "hardlink-to-directory"),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_structure(case: str) -> None:
    entries, reason = STRUCTURES[case]
    structure = Structure()
    found = [structure.add(entry) for entry in entries]
    assert next(filter(None, found), "") == reason
