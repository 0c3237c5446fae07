"""Patched templates are what the writer of headers makes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.limits import GIB
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.plain_header import PlainHeaders
from apkiln.formats.archive.tar_writer import PACKAGE, header

KEY = "APK-TOOLS.checksum.SHA1"
HEADERS = PlainHeaders(KEY)
NAMES = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=30),
    min_size=1,
    max_size=4,
)
IDS = st.sampled_from((0, 1, 8, 1000, 65534, 2_097_151, 2_097_152))


@given(
    NAMES.map("/".join).filter(lambda path: ".." not in path.split("/") and "." not in path.split("/")),
    st.integers(0, 0o7777),
    IDS,
    IDS,
    st.sampled_from(("", "root", "nobody", "ü", "x" * 40)),
    st.integers(0, 8 * GIB - 1),
    st.sampled_from((0, 1, 1_700_000_000, 0o77777777777, 0o77777777777 + 1)),
    st.integers(0, (1 << 160) - 1),
)
def test_equal_to_the_general_writer(
    path: str, mode: int, uid: int, gid: int, owner: str, size: int, mtime: int, number: int
) -> None:
    digest = f"{number:040x}"
    entry = Entry(path, EntryType.FILE, mode, uid, gid, owner, owner, size, mtime)
    found = HEADERS.header(entry, digest)
    assert found in (None, header(entry._replace(pax=((KEY, digest),)), PACKAGE))
    usual = (
        len(path) <= 87 and uid <= 2_097_151 and gid <= 2_097_151 and owner in ("", "root", "nobody") and mtime <= 0o77777777777
    )
    assert (found is not None) == usual


@pytest.mark.parametrize(
    "entry",
    [
        Entry("ü", EntryType.FILE),
        Entry("a" * 88, EntryType.FILE),
        Entry("a", EntryType.FILE, xattrs=(("user.x", b"1"),)),
        Entry("a", EntryType.FILE, pax=(("x", "y"),)),
        Entry("a", EntryType.FILE, size=8 * GIB),
    ],
)
def test_anything_else_is_left_to_the_general_writer(entry: Entry) -> None:
    assert HEADERS.header(entry, "0" * 40) is None
