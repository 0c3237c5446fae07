"""Layers laid over each other, against the plainest possible model and one by one."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.image.audit.layered_tree import LayeredTree


def file(path: str, content: bytes = b"x", mode: int = 0o644) -> ContentEntry:
    entry = Entry(path, EntryType.FILE, mode, size=len(content))
    return ContentEntry(entry, hashlib.sha1(content).digest(), hashlib.sha256(content).digest())


def directory(path: str, mode: int = 0o755) -> ContentEntry:
    return ContentEntry(Entry(path, EntryType.DIRECTORY, mode))


def symlink(path: str, target: str) -> ContentEntry:
    return ContentEntry(Entry(path, EntryType.SYMLINK, 0o777, target=target), hashlib.sha1(target.encode()).digest())


def hard_link(path: str, target: str) -> ContentEntry:
    return ContentEntry(Entry(path, EntryType.HARDLINK, target=target))


def tree_of(*layers: list[ContentEntry]) -> LayeredTree:
    tree = LayeredTree()
    for number, layer in enumerate(layers, 1):
        tree.apply(layer, number)
    return tree


def rules(tree: LayeredTree) -> list[tuple[str, str]]:
    return [(violation.rule, violation.path) for violation in tree.violations]


def test_a_later_layer_replaces_and_a_whiteout_removes() -> None:
    tree = tree_of(
        [directory("a"), file("a/one"), directory("a/b"), file("a/b/c"), directory("z"), file("z/old")],
        [directory("a"), file("a/one", b"new"), file("a/.wh.b"), directory("z"), file("z/.wh..wh..opq"), file("z/new")],
    )
    assert sorted(tree.found) == ["a", "a/one", "z", "z/new"]
    assert tree.found["a/one"].sha256 == hashlib.sha256(b"new").digest()
    assert tree.violations == []


def test_a_whiteout_does_not_remove_what_its_own_layer_brings() -> None:
    tree = tree_of([directory("a"), file("a/x", b"1")], [directory("a"), file("a/x", b"2"), file("a/.wh.x")])
    assert tree.found["a/x"].sha256 == hashlib.sha256(b"2").digest()


def test_a_file_over_a_directory_takes_what_was_below() -> None:
    tree = tree_of([directory("a"), file("a/x")], [file("a")])
    assert sorted(tree.found) == ["a"]


def test_a_hard_link_is_the_file_it_names_and_keeps_it() -> None:
    tree = tree_of([file("one", b"1", 0o4755), hard_link("two", "one"), hard_link("three", "two")], [file("one", b"other")])
    for path in ("two", "three"):
        found = tree.found[path]
        assert (found.entry.type, found.entry.mode, found.joined_with) == (EntryType.FILE, 0o4755, "one")
        assert found.sha256 == hashlib.sha256(b"1").digest()


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([[file("x"), file("x")]], ("duplicate-path", "x")),
        ([[directory("d"), directory("d")]], ("duplicate-path", "d")),
        ([[file("a/x")]], ("missing-parent", "a/x")),
        ([[symlink("a", "b"), file("a/x")]], ("path-through-file", "a/x")),
        ([[hard_link("x", "nothing")]], ("hard-link-target", "x")),
        ([[directory("d"), hard_link("x", "d")]], ("hard-link-target", "x")),
        ([[file("x")], [file(".wh.y")]], ("whiteout", "y")),
    ],
)
def test_what_a_layer_may_not_do_is_a_violation(layers: list[list[ContentEntry]], expected: tuple[str, str]) -> None:
    assert rules(tree_of(*layers)) == [expected]


def test_paths_are_resolved_inside_the_tree() -> None:
    tree = tree_of(
        [
            *(directory("usr"), directory("usr/lib"), file("usr/lib/x"), symlink("lib", "usr/lib")),
            *(symlink("abs", "/lib"), symlink("loop", "loop"), symlink("out", "../../etc")),
        ]
    )
    assert tree.resolve("lib") == "usr/lib"
    assert tree.resolve("abs") == "usr/lib"
    assert tree.resolve("loop") is None
    assert tree.resolve("out") is None
    assert tree.resolve("nothing") is None
    assert tree.real_path("lib/x") == "usr/lib/x"
    assert tree.real_path("abs/new") == "usr/lib/new"
    assert tree.real_path("lib") == "lib"


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
ACTIONS = st.lists(st.tuples(st.sampled_from(["file", "directory", "whiteout", "opaque"]), PATHS), max_size=6)


def plain_model(layers: list[list[tuple[str, str]]]) -> set[str]:
    """Paths only, by the words of the specification, without regard to cost."""
    present: dict[str, str] = {}
    for layer in layers:
        for kind, path in layer:
            if kind == "whiteout":
                present = {p: k for p, k in present.items() if p != path and not p.startswith(path + "/")}
            elif kind == "opaque":
                present = {p: k for p, k in present.items() if not p.startswith(path + "/")}
        for kind, path in layer:
            if kind == "file":
                covered = present.get(path) == "directory"
                present = {p: k for p, k in present.items() if not (covered and p.startswith(path + "/"))}
            if kind in ("file", "directory"):
                present[path] = kind
    return set(present)


@given(st.lists(ACTIONS, max_size=3))
def test_the_tree_is_what_the_plain_model_says(layers: list[list[tuple[str, str]]]) -> None:
    made = []
    for layer in layers:
        entries = []
        for kind, path in layer:
            above, _slash, name = path.rpartition("/")
            marker = f"{path}/.wh..wh..opq" if kind == "opaque" else f"{above}/.wh.{name}".lstrip("/")
            entries.append(directory(path) if kind == "directory" else file(path if kind == "file" else marker))
        made.append(entries)
    assert set(tree_of(*made).found) == plain_model(layers)
