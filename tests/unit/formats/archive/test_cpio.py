"""cpio: round trip, hard links, determinism, hostile input."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.archive.cpio import CpioMember, CpioReader, cpio_stream
from apkiln.formats.archive.entry import Entry, EntryType

CONTENTS = st.dictionaries(st.text("abcé", min_size=1, max_size=5), st.binary(max_size=50), max_size=6)


def written(entries: list[Entry], contents: dict[str, bytes]) -> bytes:
    return b"".join(cpio_stream(entries, lambda path: (contents[path],)))


def read(data: bytes) -> list[tuple[CpioMember, bytes]]:
    reader = CpioReader(io.BytesIO(data).read)
    return [(member, b"".join(reader.content())) for member in reader]


@given(contents=CONTENTS, mode=st.integers(0, 0o7777), owner=st.integers(0, 0xFFFFFFFF))
def test_round_trip(contents: dict[str, bytes], mode: int, owner: int) -> None:
    entries = [Entry(name, EntryType.FILE, mode, owner, owner, size=len(text), mtime=owner) for name, text in contents.items()]
    data = written(entries, contents)
    assert len(data) % 512 == 0 and data == written(entries, contents)
    assert read(data) == [(CpioMember(entry, number, 1), contents[entry.path]) for number, entry in enumerate(entries, 1)]


def test_every_type() -> None:
    entries = [
        Entry("bin", EntryType.DIRECTORY, 0o1777),
        Entry("bin/link", EntryType.SYMLINK, 0o777, target="../x"),
        Entry("null", EntryType.CHARACTER, 0o666, device=(1, 3)),
        Entry("disk", EntryType.BLOCK, 0o660, device=(8, 1)),
        Entry("pipe", EntryType.FIFO, 0o600),
    ]
    assert [member.entry for member, _ in read(written(entries, {}))] == entries


def test_hard_links_share_an_inode_and_the_last_has_the_data() -> None:
    file = Entry("a", EntryType.FILE, 0o755, 1, 2, size=5, mtime=9)
    first, second = (Entry(name, EntryType.HARDLINK, target="a") for name in "bd")
    entries = [file, first, Entry("c", EntryType.FILE, size=1), second]
    found = read(written(entries, {"a": b"hello", "c": b"x"}))
    assert [(member.entry.path, member.inode, member.links, data) for member, data in found] == [
        ("a", 1, 3, b""), ("b", 1, 3, b""), ("c", 2, 1, b"x"), ("d", 1, 3, b"hello"),
    ]  # fmt: skip
    assert found[3][0].entry == file._replace(path="d")


def test_header_layout() -> None:
    data = written([Entry("a", EntryType.FILE, 0o644, size=1)], {"a": b"x"})
    assert data[:110] == b"070701" + b"00000001" + b"000081A4" + b"00000000" * 2 + b"00000001" + b"00000000" + b"00000001" + (
        b"00000000" * 4 + b"00000002" + b"00000000"
    )
    assert data[110:112] == b"a\0" and data[112:116] == b"x\0\0\0"
    assert data[116 + 110 : 116 + 121] == b"TRAILER!!!\0"


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([Entry("../a", EntryType.FILE)], "name-dot-dot-component"),
        ([Entry("a", EntryType.HARDLINK, target="b")], "cpio-link-target"),
        ([Entry("b", EntryType.DIRECTORY), Entry("a", EntryType.HARDLINK, target="b")], "cpio-link-target"),
        ([Entry("a", EntryType.FILE, size=1 << 32)], "cpio-too-large"),
        ([Entry("a", EntryType.FILE, uid=1 << 32)], "cpio-field"),
        ([Entry("a", EntryType.FILE, mtime=-1)], "cpio-field"),
        ([Entry("a", EntryType.FILE, size=2)], "cpio-content-size"),
        ([Entry("a\udcff", EntryType.FILE)], "name-not-utf8"),
    ],
)
def test_what_does_not_fit_is_refused(entries: list[Entry], reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        written(entries, {"a": b"x"})
    assert caught.value.reason == reason


GOOD = written([Entry("a", EntryType.FILE, size=3)], {"a": b"abc"})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cpio-truncated"),
        (GOOD[:100], "cpio-truncated"),
        (GOOD[:113], "cpio-truncated"),
        (GOOD[:116], "cpio-truncated"),
        (b"070702" + GOOD[6:], "cpio-magic"),
        (GOOD[:6] + b"0000000x" + GOOD[14:], "cpio-number"),
        (GOOD[:6] + b"-0000001" + GOOD[14:], "cpio-number"),
        (GOOD[:14] + b"0000F1A4" + GOOD[22:], "cpio-type"),
        (GOOD[:94] + b"00000000" + GOOD[102:], "cpio-name"),
        (GOOD[:94] + b"0000FFFF" + GOOD[102:], "cpio-name"),
        (GOOD[:110] + b"ab" + GOOD[112:], "cpio-name"),
        (GOOD[:110] + b"/\0" + GOOD[112:], "name-absolute"),
        (GOOD[:110] + b"\n\0" + GOOD[112:], "name-control-character"),
        (GOOD + b"x", "cpio-data-after-end"),
    ],
)
def test_damage_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(data)
    assert caught.value.reason == reason
