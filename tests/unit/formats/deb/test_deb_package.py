"""The `.deb` container: round trips, and what is refused."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, FormatError
from apkiln.core.limits import Limits
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deb import ar
from apkiln.formats.deb.deb822 import Stanza
from apkiln.formats.deb.package import SUFFIXES, DebReader
from apkiln.formats.deb.writer import compress, write_ar, write_deb

FIELDS = Stanza((("Package", "a"), ("Version", "1"), ("Architecture", "amd64")))
NAMES = st.from_regex(r"[a-zA-Z0-9_.+-]{1,14}", fullmatch=True)


def control_tar(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


CONTROL = control_tar(("./control", b"Package: a\nVersion: 1\n"))
DATA = control_tar(("./usr/bin/x", b"hello"))


def deb(*members: tuple[str, bytes]) -> DebReader:
    return DebReader(io.BytesIO(write_ar(members)))


@given(st.lists(st.tuples(NAMES, st.binary(max_size=9)), max_size=5, unique_by=lambda row: row[0]))
def test_ar_round_trip(members: list[tuple[str, bytes]]) -> None:
    data = write_ar(members)
    found = ar.read_members(io.BytesIO(data))
    assert [(item.name, data[item.offset : item.offset + item.size]) for item in found] == members


@given(st.binary(max_size=200))
def test_ar_gives_members_or_an_error(data: bytes) -> None:
    try:
        members = ar.read_members(io.BytesIO(ar.MAGIC + data))
    except FormatError as fault:
        assert fault.reason in ("ar-format", "limit-ar-members")
    else:
        assert all(item.offset + item.size <= len(data) + len(ar.MAGIC) for item in members)


@pytest.mark.parametrize("compression", SUFFIXES)
def test_a_package_round_trips(compression: str) -> None:
    content = bytes(range(256)) * 3000
    data = [(Entry("usr", EntryType.DIRECTORY, 0o755), b""), (Entry("usr/a", EntryType.FILE, size=len(content)), content)]
    reader = DebReader(
        io.BytesIO(write_deb(FIELDS, data, scripts=[("postinst", b"#!/bin/sh\n")], compression=compression, mtime=7))
    )
    control = reader.control()
    assert control.fields.fields == FIELDS.fields
    assert control.file("postinst") == b"#!/bin/sh\n" and control.file("prerm") is None
    assert control.newest == 7
    assert control.file("md5sums") == hashlib.md5(content).hexdigest().encode() + b"  usr/a\n"
    members = reader.data()
    assert [(entry, b"".join(members.content())) for entry in members] == data


def test_names_with_dot_slash_and_old_headers() -> None:
    reader = deb(("debian-binary", b"2.0\n"), ("control.tar", CONTROL), ("data.tar", DATA))
    assert [item.name for item in reader.control().files] == ["control"]
    assert [entry.path for entry in reader.data()] == ["usr/bin/x"]


def test_further_members_that_begin_with_an_underscore_are_ignored() -> None:
    deb(("debian-binary", b"2.0\n"), ("_x", b""), ("control.tar", CONTROL), ("data.tar", DATA), ("_gpgorigin", b"s")).control()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("debian-binary", b"2.0\n"), ("control.tar", CONTROL)], "deb-format"),
        ([("debian-binary", b"3.0\n"), ("control.tar", CONTROL), ("data.tar", DATA)], "deb-format"),
        ([("control.tar", CONTROL), ("debian-binary", b"2.0\n"), ("data.tar", DATA)], "deb-format"),
        ([("debian-binary", b"2.0\n"), ("data.tar", DATA), ("control.tar", CONTROL)], "deb-compression"),
        ([("debian-binary", b"2.0\n"), ("control.tar.lz4", CONTROL), ("data.tar", DATA)], "deb-compression"),
        ([("debian-binary", b"2.0\n"), ("control.tar", CONTROL), ("extra", b""), ("data.tar", DATA)], "deb-format"),
    ],
)
def test_wrong_members(members: list[tuple[str, bytes]], reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        deb(*members)
    assert caught.value.reason == reason


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst"])
def test_damaged_and_cut_streams(compression: str) -> None:
    packed = compress(CONTROL, compression)
    flipped = packed[: len(packed) // 2] + bytes([packed[len(packed) // 2] ^ 0xFF]) + packed[len(packed) // 2 + 1 :]
    # zstd carries no checksum of its content unless asked to, so a changed byte may go unseen there.
    for broken in (packed[:-9], packed + b"more", b"", *(() if compression == ".zst" else (flipped,))):
        reader = deb(("debian-binary", b"2.0\n"), (f"control.tar{compression}", broken), ("data.tar", DATA))
        with pytest.raises(ApkilnError):
            reader.control()


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst"])
def test_bombs(compression: str) -> None:
    bomb = compress(bytes(40 << 20), compression)
    reader = deb(("debian-binary", b"2.0\n"), (f"control.tar{compression}", bomb), ("data.tar", DATA))
    with pytest.raises(FormatError):
        reader.control()
    small = Limits(control_decompressed=1000)
    packed = compress(CONTROL, compression)
    with pytest.raises(FormatError) as caught:
        DebReader(
            io.BytesIO(write_ar([("debian-binary", b"2.0\n"), (f"control.tar{compression}", packed), ("data.tar", DATA)])), small
        ).control()
    assert caught.value.reason in ("deb-too-large", "gzip-too-large")


@pytest.mark.parametrize("compression", [".xz", ".zst"])
def test_a_bomb_is_refused_before_its_size_is_reached(compression: str) -> None:
    members = [
        ("debian-binary", b"2.0\n"),
        (f"control.tar{compression}", compress(bytes(40 << 20), compression)),
        ("data.tar", DATA),
    ]
    with pytest.raises(FormatError) as caught:
        DebReader(io.BytesIO(write_ar(members)), Limits(control_decompressed=1 << 30)).control()
    assert caught.value.reason == "deb-ratio"


@pytest.mark.parametrize(
    "data",
    [
        write_ar([("a", b"12345")])[:-3],
        write_ar([("a", b""), ("a", b"")]),
        write_ar([("a", b"1")])[:-1] + b"x" + write_ar([("b", b"")])[8:],
        write_ar([("a", b"")]).replace(b"`\n", b"``"),
        write_ar([("a", b"")]).replace(b"a    ", b"/    "),
        write_ar([("a", b"")]) + b"\n",
        b"!<arch>",
        b"",
    ],
)
def test_ar_refusals(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        ar.read_members(io.BytesIO(data))
    assert caught.value.reason == "ar-format"


def test_ar_has_a_limit_of_members() -> None:
    with pytest.raises(FormatError) as caught:
        ar.read_members(io.BytesIO(write_ar([(f"m{number}", b"") for number in range(40)])))
    assert caught.value.reason == "limit-ar-members"


def test_control_member_rules() -> None:
    twice = control_tar(("./control", b"A: b\n"), ("./control", b"A: c\n"))
    for control in (twice, control_tar(("./other", b"")), control_tar(("./control", b"A: b\n"), ("./sub/x", b""))):
        with pytest.raises(FormatError) as caught:
            deb(("debian-binary", b"2.0\n"), ("control.tar", control), ("data.tar", DATA)).control()
        assert caught.value.reason == "deb-format"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//b"])
def test_paths_that_escape(name: str) -> None:
    reader = deb(("debian-binary", b"2.0\n"), ("control.tar", CONTROL), ("data.tar", control_tar((name, b""))))
    with pytest.raises(FormatError):
        list(reader.data())


@settings(max_examples=60)
@given(st.integers(0, 4000), st.integers(0, 255))
def test_a_flipped_byte_is_an_error_or_harmless(position: int, value: int) -> None:
    good = bytearray(write_deb(FIELDS, [(Entry("a", EntryType.FILE, size=3), b"abc")], compression=".xz"))
    good[position % len(good)] = value
    try:
        reader = DebReader(io.BytesIO(bytes(good)))
        reader.control()
        list(reader.data())
    except ApkilnError as fault:
        assert fault.reason
