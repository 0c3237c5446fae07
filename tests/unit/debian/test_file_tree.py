"""usr-merge, order and refusals of a data archive."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.debian.file_tree import MERGED, FileTree, build_tree, in_package_order, md5_of, merged_path
from apkiln.debian.layout import layout_tree, layout_version
from apkiln.debian.translations import VARIANT, translate
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.archive.path import parent, resolve_target
from apkiln.formats.archive.structure import Structure

COMPONENT = st.sampled_from(["bin", "lib", "usr", "sbin", "a", "b", "share", "x86"])
PATHS = st.lists(COMPONENT, min_size=1, max_size=4).map("/".join)


def file(path: str, content: bytes = b"", mode: int = 0o644) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.FILE, mode, size=len(content), mtime=5), content


def link(path: str, target: str) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.SYMLINK, 0o777, target=target), b""


def directory(path: str, mode: int = 0o755) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.DIRECTORY, mode), b""


def tree(*members: tuple[Entry, bytes]) -> FileTree:
    return build_tree(members, "a-1", 10)


def by_path(built: FileTree) -> dict[str, Entry]:
    return {entry.path: entry for entry in built.entries}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("bin/sh", "usr/bin/sh"), ("lib64/a", "usr/lib64/a"), ("usr/bin/x", "usr/bin/x"), ("library/a", "library/a")],
)
def test_merged_paths(path: str, expected: str) -> None:
    assert merged_path(path) == expected
    assert merged_path(merged_path(path)) == expected


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("lib/x/liba.so", "liba.so.1", "liba.so.1"),
        ("lib/x/liba.so", "../../usr/lib/x/liba.so.1", "liba.so.1"),
        ("usr/lib/liba.so", "../../lib/x/liba.so.1", "x/liba.so.1"),
        ("usr/lib/liba.so", "/lib/x/liba.so.1", "/usr/lib/x/liba.so.1"),
        ("bin/sh", "/etc/alternatives/sh", "/etc/alternatives/sh"),
        ("bin/sh", "../etc/alternatives/sh", "../../etc/alternatives/sh"),
        ("usr/share/doc/a", "b", "b"),
        ("usr/a", "../..", "../.."),
    ],
)
def test_link_texts(path: str, target: str, expected: str) -> None:
    assert by_path(tree(link(path, target)))[merged_path(path)].target == expected


@given(PATHS, PATHS)
def test_a_relative_link_names_the_same_file_after_the_merge(path: str, target: str) -> None:
    if path in MERGED:
        return
    depth = path.count("/")
    text = "../" * depth + target
    entry = by_path(tree(link(path, text)))[merged_path(path)]
    assert resolve_target(entry.path, entry.target) == merged_path(target)


@given(st.dictionaries(PATHS, st.binary(max_size=4), max_size=8), st.randoms(use_true_random=False))
def test_the_order_is_a_packages_and_independent_of_the_archive(files: dict[str, bytes], randomness: random.Random) -> None:
    members = [file(path, content) for path, content in files.items() if not any(other.startswith(f"{path}/") for other in files)]
    try:
        first = tree(*members)
    except ApkilnError:
        return
    randomness.shuffle(members)
    assert tree(*members).entries == first.entries
    assert in_package_order(first.entries)
    structure = Structure()
    assert [structure.add(entry) for entry in first.entries] == [""] * len(first.entries)
    for entry in first.entries:
        assert parent(entry.path) == "" or by_path(first)[parent(entry.path)].type is EntryType.DIRECTORY


def test_root_links_of_the_archive_belong_to_the_layout() -> None:
    built = tree(link("bin", "usr/bin"), directory("lib"), directory("usr/lib"), file("lib/a"))
    assert [entry.path for entry in built.entries] == ["usr", "usr/lib", "usr/lib/a"]
    assert built.moved == 1


def test_modes_owners_and_times_are_kept() -> None:
    entry = Entry("usr/bin/su", EntryType.FILE, 0o4755, 0, 5, "root", "tty", 1, 99)
    kept = by_path(build_tree([(entry, b"x")], "a-1", 50))["usr/bin/su"]
    assert (kept.mode, kept.gid, kept.gname, kept.mtime) == (0o4755, 5, "tty", 50)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (file(".hidden"), "dot-path"),
        ((Entry("dev/null", EntryType.CHARACTER, device=(1, 3)), b""), "deb-device"),
        ((Entry("dev/sda", EntryType.BLOCK, device=(8, 0)), b""), "deb-device"),
        ((Entry("run/pipe", EntryType.FIFO), b""), "deb-device"),
        ((Entry("a", EntryType.HARDLINK, target="missing"), b""), "deb-hard-link"),
        ((Entry("a", EntryType.HARDLINK, target="a"), b""), "deb-hard-link"),
    ],
)
def test_refusals(member: tuple[Entry, bytes], reason: str) -> None:
    with pytest.raises(ApkilnError) as caught:
        tree(member)
    assert caught.value.reason == reason


def test_all_refusals_come_together() -> None:
    with pytest.raises(FaultGroup) as caught:
        tree(file(".a"), file(".b"), (Entry("c", EntryType.FIFO), b""))
    assert [fault.reason for fault in caught.value.faults] == ["dot-path", "dot-path", "deb-device"]


def test_paths_that_meet_after_the_merge() -> None:
    assert [entry.path for entry in tree(file("bin/a", b"x"), file("usr/bin/a", b"x")).entries][-1] == "usr/bin/a"
    for second in (file("usr/bin/a", b"y"), file("usr/bin/a", b"x", 0o755), link("usr/bin/a", "b")):
        with pytest.raises(ApkilnError) as caught:
            tree(file("bin/a", b"x"), second)
        assert caught.value.reason == "file-conflict"


def test_a_file_below_a_link_or_file_is_refused() -> None:
    with pytest.raises(ApkilnError) as caught:
        tree(link("usr/x", "y"), file("usr/x/z"))
    assert caught.value.reason == "deb-path"


def test_hard_links_point_to_the_first_path() -> None:
    built = tree(file("usr/bin/z", b"data"), (Entry("bin/a", EntryType.HARDLINK, target="usr/bin/z"), b""))
    first, second = built.entries[-2:]
    assert (first.path, first.type, first.size) == ("usr/bin/a", EntryType.FILE, 4)
    assert (second.path, second.type, second.target, second.size) == ("usr/bin/z", EntryType.HARDLINK, "usr/bin/a", 0)
    assert built.contents == {"usr/bin/a": b"data"}
    assert built.size() == 4


def test_chains_of_hard_links() -> None:
    chain = [(Entry("b", EntryType.HARDLINK, target="a"), b""), (Entry("c", EntryType.HARDLINK, target="b"), b"")]
    assert [entry.target for entry in tree(file("a", b"1"), *chain).entries] == ["", "a", "a"]


def test_md5() -> None:
    assert md5_of(tree(file("a", b"abc"))) == {"a": "900150983cd24fb0d6963f7d28e17f72"}


def test_the_layout_owns_the_links_and_accounts() -> None:
    source = tree(file("usr/share/base-passwd/passwd.master", b"root\n"), file("usr/share/base-passwd/group.master", b"g\n"))
    built = layout_tree("x86_64", source, 7)
    links = {entry.path: entry.target for entry in built.entries if entry.type is EntryType.SYMLINK}
    assert links == {name: f"usr/{name}" for name in MERGED}
    assert built.contents == {"etc/passwd": b"root\n", "etc/group": b"g\n"}
    assert "lib64" not in by_path(layout_tree("aarch64", None, 7))
    assert layout_version("3.6.1-r100") == "3.6.1-r101"
    assert layout_version("") == "1-r1"


def test_base_files_says_what_it_is() -> None:
    built = translate("base-files", tree(file("usr/lib/os-release", b"ID=debian\n"), directory("var/run")), 9)
    entries = by_path(built)
    assert built.contents["usr/lib/os-release"] == b"ID=debian\n" + VARIANT
    assert entries["usr/lib/os-release"].size == len(b"ID=debian\n" + VARIANT)
    assert translate("base-files", built, 9).contents == built.contents
    plain = tree(file("usr/lib/os-release", b"x"))
    assert translate("other", plain, 9) is plain
