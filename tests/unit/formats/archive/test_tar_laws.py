"""Tar: what is written is read back, equal entries give equal bytes, and Python's own reader agrees."""

from __future__ import annotations

import io
import tarfile
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import FOREIGN, STRICT, TarRules
from apkiln.formats.archive.tar_writer import END_OF_ARCHIVE, LAYER, PACKAGE, PLAIN, TarDialect, archive, header, padding

IDS = st.integers(0, 1 << 40)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\x7f"), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)
PATHS = st.lists(NAMES, min_size=1, max_size=6).map("/".join)
LONG_PATHS = st.lists(st.text(ascii_lowercase, min_size=1, max_size=120), min_size=1, max_size=5).map("/".join)
OWNERS = st.text(ascii_lowercase, max_size=40) | st.just("ü") | st.just("")
XATTRS = st.dictionaries(st.text(ascii_lowercase, min_size=1).map("user.".__add__), st.binary(max_size=300), max_size=3)
KEYWORDS = st.text(ascii_lowercase, min_size=1).map("APK-".__add__)
PAX = st.dictionaries(KEYWORDS, st.text(ascii_lowercase + " =ü", max_size=300), max_size=2)


@st.composite
def entries(draw: st.DrawFn) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from(EntryType))
    content = draw(st.binary(max_size=1200)) if kind is EntryType.FILE else b""
    target = draw(PATHS | LONG_PATHS) if kind in (EntryType.SYMLINK, EntryType.HARDLINK) else ""
    device = (0, 0)
    if kind in (EntryType.CHARACTER, EntryType.BLOCK):
        device = draw(st.tuples(st.integers(0, 0o7777777), st.integers(0, 0o7777777)))
    xattrs = draw(XATTRS) if kind in (EntryType.FILE, EntryType.DIRECTORY) else {}
    entry = Entry(
        draw(PATHS | LONG_PATHS), kind, draw(st.integers(0, 0o7777)), draw(IDS), draw(IDS),
        draw(OWNERS), draw(OWNERS), len(content), draw(st.integers(-10, 1 << 40)), target, device,
        tuple(sorted(xattrs.items())), tuple(sorted(draw(PAX).items())),
    )  # fmt: skip
    return entry, content


def tar_of(members: list[tuple[Entry, bytes]]) -> bytes:
    return b"".join(header(entry) + content + padding(len(content)) for entry, content in members) + END_OF_ARCHIVE


def read(data: bytes, step: int = 1 << 20, rules: TarRules = STRICT) -> list[tuple[Entry, bytes]]:
    reader = TarReader((data[start : start + step] for start in range(0, len(data), step)), rules)
    return [(entry, b"".join(reader.content())) for entry in reader]


@given(members=st.lists(entries(), max_size=5), step=st.sampled_from([1, 13, 512, 700, 1 << 20]))
def test_round_trip(members: list[tuple[Entry, bytes]], step: int) -> None:
    data = tar_of(members)
    assert len(data) % 512 == 0
    assert read(data, step, FOREIGN) == members
    assert tar_of(members) == data


@given(member=entries())
def test_python_reads_the_same(member: tuple[Entry, bytes]) -> None:
    entry, content = member
    with tarfile.open(fileobj=io.BytesIO(tar_of([member]))) as archive_file:
        (found,) = archive_file.getmembers()
        assert (found.name, found.mode, found.uid, found.gid) == (entry.path, entry.mode, entry.uid, entry.gid)
        assert (found.uname, found.gname, found.mtime, found.linkname) == (entry.uname, entry.gname, entry.mtime, entry.target)
        assert found.type == entry.type.value.encode()
        if entry.type is EntryType.FILE:
            stream = archive_file.extractfile(found)
            assert stream is not None and stream.read() == content


@given(members=st.lists(entries(), min_size=1, max_size=4))
def test_content_may_be_left_unread(members: list[tuple[Entry, bytes]]) -> None:
    reader = TarReader([tar_of(members)], FOREIGN)
    seen = []
    for position, entry in enumerate(reader):
        seen.append(entry)
        if position % 2:
            next(reader.content(), b"")
    assert seen == [entry for entry, _ in members]


def test_header_bytes_of_a_plain_file() -> None:
    """Spec package.md §10.4, field by field."""
    data = header(Entry("usr/bin/x", EntryType.FILE, 0o755, 1, 2, "root", "wheel", 3, 1700000000))
    assert len(data) == 512
    assert data[:100] == b"usr/bin/x".ljust(100, b"\0")
    assert data[100:148] == b"0000755\0000000001\0000000002\00000000000003\00014524770400\0"
    assert data[156:157] == b"0"
    assert data[257:345] == b"ustar\x0000" + b"root".ljust(32, b"\0") + b"wheel".ljust(32, b"\0") + b"0000000\0000000000\0"
    assert data[345:] == bytes(167)
    assert data[148:156] == b"%06o\0 " % (sum(data) - sum(data[148:156]) + 8 * 32)


def test_header_bytes_of_an_extended_header() -> None:
    """The extended header's own name, empty owners, NUL device fields, records sorted by keyword."""
    entry = Entry("usr/bin/x", EntryType.FILE, pax=(("APK-TOOLS.checksum.SHA1", "0" * 40),), xattrs=(("user.a", b"\0\xff"),))
    data = header(entry)
    assert data[:100].rstrip(b"\0") == b"usr/bin/PaxHeaders.0/x"
    assert data[100:136] == b"0000000\0" * 3 + b"00000000136\0"
    assert data[156:157] == b"x"
    assert data[265:345] == bytes(80)
    assert data[512:].startswith(b"68 APK-TOOLS.checksum.SHA1=" + b"0" * 40 + b"\n26 SCHILY.xattr.user.a=\0\xff\n")


@pytest.mark.parametrize(
    ("path", "prefix", "name", "blocks"),
    [
        ("a" * 100, b"", b"a" * 100, 1),
        ("d" * 155 + "/" + "n" * 100, b"d" * 155, b"n" * 100, 1),
        ("a/" + "b" * 100, b"a", b"b" * 100, 1),
        ("a/" + "b" * 101, b"", b"a/" + b"b" * 98, 3),
        ("d" * 156 + "/n", b"", b"d" * 100, 3),
        ("é", b"", b"", 3),
    ],
)
def test_long_names(path: str, prefix: bytes, name: bytes, blocks: int) -> None:
    data = header(Entry(path, EntryType.FILE))
    assert len(data) == 512 * blocks
    last = data[-512:]
    assert last[345:500].rstrip(b"\0") == prefix
    assert last[:100].rstrip(b"\0") == name


def test_directories_have_no_trailing_slash_and_no_checksum_is_invented() -> None:
    data = header(Entry("usr/lib", EntryType.DIRECTORY, 0o755))
    assert len(data) == 512 and data[:8] == b"usr/lib\0"


@pytest.mark.parametrize(
    ("entry", "dialect", "reason"),
    [
        (Entry("../x", EntryType.FILE), LAYER, "name-dot-dot-component"),
        (Entry("a\nb", EntryType.FILE), LAYER, "name-control-character"),
        (Entry("a\udcff", EntryType.FILE), LAYER, "name-not-utf8"),
        (Entry("a", EntryType.SYMLINK), LAYER, "tar-link-without-target"),
        (Entry("a", EntryType.SYMLINK, target="x\ny"), LAYER, "tar-link-without-target"),
        (Entry("a", EntryType.FIFO), PACKAGE, "tar-type-not-allowed"),
        (Entry("a", EntryType.BLOCK), PACKAGE, "tar-type-not-allowed"),
        (Entry("a", EntryType.FILE, size=8 << 30), PACKAGE, "tar-file-too-large"),
        (Entry("a", EntryType.FILE, size=-1), LAYER, "tar-file-too-large"),
        (Entry("a", EntryType.SYMLINK, target="b"), PLAIN, "tar-type-not-allowed"),
        (Entry("é", EntryType.FILE), PLAIN, "tar-needs-pax"),
        (Entry("a", EntryType.FILE, mode=0o100644), LAYER, "tar-field-out-of-range"),
        (Entry("a", EntryType.FILE, uid=-1), LAYER, "tar-field-out-of-range"),
        (Entry("a", EntryType.CHARACTER, device=(1 << 21, 0)), LAYER, "tar-field-out-of-range"),
        (Entry("a", EntryType.SYMLINK, target="b", xattrs=(("user.a", b""),)), LAYER, "tar-xattr-name"),
        (Entry("a", EntryType.FILE, xattrs=(("a=b", b""),)), LAYER, "tar-xattr-name"),
        (Entry("a", EntryType.FILE, pax=(("path", "b"),)), LAYER, "tar-pax-keyword"),
        (Entry("a", EntryType.FILE, pax=(("x", "1"), ("x", "2"))), LAYER, "tar-pax-keyword"),
    ],
)
def test_what_does_not_fit_is_refused(entry: Entry, dialect: TarDialect, reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        header(entry, dialect)
    assert caught.value.reason == reason


def test_large_sizes_go_into_a_record() -> None:
    data = header(Entry("big", EntryType.FILE, size=1 << 36))
    assert b" size=68719476736\n" in data
    assert data[-512 + 124 : -512 + 136] == b"00000000000\0"


def test_archive_helper() -> None:
    data = archive([(Entry("a", EntryType.FILE, size=3), b"abc")])
    assert read(data) == [(Entry("a", EntryType.FILE, size=3), b"abc")]
    assert archive([], end=False) == b""
