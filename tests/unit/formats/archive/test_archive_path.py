"""The one function that checks paths and the one that joins them."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FormatError
from apkiln.formats.archive.path import check, fault, join, parent, printable, resolve_target

PIECES = st.sampled_from(["a", "..", ".", "", "b c", "\n", "\x00", "é", "x" * 256, "~", "-", "\\"])
ANY = st.lists(PIECES, max_size=6).map("/".join) | st.text(max_size=20)


def naive(path: str) -> bool:
    """The rules once more, one by one."""
    parts = path.split("/")
    good = all(part not in ("", ".", "..") and len(part.encode("utf-8", "surrogatepass")) <= 255 for part in parts)
    return good and not any(ord(letter) < 32 or ord(letter) == 127 for letter in path) and len(path) <= 4096


@given(path=ANY)
def test_fault_agrees_with_the_plain_rules(path: str) -> None:
    assert (fault(path) == "") == naive(path)


@given(path=ANY, base=st.sampled_from(["", "/srv/root", "/srv/root/", "usr"]))
def test_join_never_leaves_its_base(path: str, base: str) -> None:
    try:
        joined = join(base, path)
    except FormatError as error:
        assert error.reason == fault(path) != ""
        return
    assert posixpath.normpath(joined) == joined
    assert joined.startswith(base.rstrip("/") + "/" if base else "") and not joined.endswith("/")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "name-empty"), ("/", "name-absolute"), ("/a", "name-absolute"), ("a/", "name-trailing-slash"),
        (".", "name-dot-component"), ("..", "name-dot-dot-component"), ("a/../b", "name-dot-dot-component"),
        ("a/./b", "name-dot-component"),
        ("a//b", "name-double-slash"), ("a\x00b", "name-control-character"), ("a\nb", "name-control-character"),
        ("x" * 256, "name-component-too-long"), ("é" * 128, "name-component-too-long"),
        ("/".join(["x" * 99] * 42), "name-too-long"), ("...", ""), ("a..b/..c", ""), (".hidden/x", ""), ("x" * 255, ""),
    ],
)  # fmt: skip
def test_reasons(path: str, reason: str) -> None:
    assert fault(path) == reason
    if reason:
        with pytest.raises(FormatError) as caught:
            check(path)
        assert caught.value.reason == reason
    else:
        assert check(path) == path


@pytest.mark.parametrize(
    ("link", "target", "expected"),
    [
        ("usr/lib/x", "y", "usr/lib/y"), ("usr/lib/x", "../y", "usr/y"), ("usr/lib/x", "/etc/./y", "etc/y"), ("x", "/", ""),
        ("x", "..", None), ("usr/lib/x", "../../../y", None), ("x", "", None), ("x", "a\nb", None), ("usr/x", ".", "usr"),
    ],
)  # fmt: skip
def test_resolve_target(link: str, target: str, expected: str | None) -> None:
    assert resolve_target(link, target) == expected


def test_parent_and_printable() -> None:
    assert (parent("usr/bin/x"), parent("x")) == ("usr/bin", "")
    assert printable("a\n\x1b\udcff é") == "a\\n\\x1b\\udcff é"
