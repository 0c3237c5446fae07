"""Groups, skeletons and the order of generated content, on small plans."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.image.configuration.model import Layering
from apkiln.image.generated.draft import Draft
from apkiln.image.generated.memory_tree import MemoryTree, Shipped
from apkiln.image.grouping import group_packages, is_layered, places_of
from apkiln.image.layers import KeptContent, generated_parts, group_skeleton, overridden_paths, parts_key
from apkiln.image.planned_tree import PlannedTree
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.tree_plan import TreePlan


def package(name: str, entries: Iterable[Entry] = (), **info: object) -> PackageFiles:
    fields = {"origin": name, "installed_size": 10} | info
    described = PackageInfo(name, "1.0-r0", "x86_64", **fields)  # type: ignore[arg-type]
    contents = tuple(ContentEntry(entry, b"1" * 20, b"2" * 32) for entry in entries)
    return PackageFiles.of(PackageContents(described, name.encode().ljust(20), name.encode().ljust(32), 1, (), (), (), contents))


def directory(path: str, mode: int = 0o755, mtime: int = 0) -> Entry:
    return Entry(path, EntryType.DIRECTORY, mode, mtime=mtime)


def named(packages: list[PackageFiles], layering: Layering | None) -> list[list[str]]:
    return [[packages[position].name for position in group] for group in group_packages(packages, layering)]


# --- groups ------------------------------------------------------------------------------------------------------------


def test_groups_by_origin_larger_ones_below() -> None:
    packages = [
        package("small", installed_size=1),
        package("lib", origin="big", installed_size=500),
        package("bin", origin="big", installed_size=600),
        package("middle", installed_size=1000),
        package("same", installed_size=1),
    ]
    assert named(packages, Layering("origin", 10)) == [["bin", "lib"], ["middle"], ["same"], ["small"]]
    assert named(packages, Layering("origin", 2)) == [["bin", "lib"], ["middle", "same", "small"]]
    assert named(packages, Layering("origin", 0)) == named(packages, Layering("origin", 1))
    assert named(packages, Layering("origin")) == named(packages, Layering("origin", 10))
    assert named(packages, Layering("origin", 1)) == [["bin", "lib", "middle", "same", "small"]]


def test_ties_go_to_the_lesser_greatest_name() -> None:
    packages = [package("b", installed_size=5), package("a", installed_size=5)]
    assert named(packages, Layering("package", 10)) == [["a"], ["b"]]


def test_packages_that_replace_each_other_share_a_group() -> None:
    packages = [package("old"), package("new", replaces=("old<2",)), package("newer", replaces=("old>2",)), package("x")]
    assert ["new", "old"] in named(packages, Layering("package", 10))
    assert ["newer"] in named(packages, Layering("package", 10))


def test_named_groups_keep_their_order_and_the_rest_comes_last() -> None:
    packages = [package(name) for name in ("a", "b", "c", "d")]
    layering = Layering("groups", None, (("c", "absent"), ("b",)))
    assert named(packages, layering) == [["c"], ["b"], ["a", "d"]]


@pytest.mark.parametrize("layering", [None, Layering(), Layering("single", 5)])
def test_one_layer(layering: Layering | None) -> None:
    assert not is_layered(layering)
    assert group_packages([package("a")], layering) == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=12), st.integers(1, 6), st.randoms())
def test_every_package_is_in_one_group_whatever_the_order(items: list[tuple[str, int]], budget: int, random: object) -> None:
    packages = [package(f"p{number}", origin=origin, installed_size=size) for number, (origin, size) in enumerate(items)]
    layering = Layering("origin", budget)
    groups = named(packages, layering)
    assert sorted(name for group in groups for name in group) == sorted(item.name for item in packages)
    assert len(groups) <= budget
    shuffled = list(packages)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert named(shuffled, layering) == groups
    positions = group_packages(packages, layering)
    places = places_of(positions, len(packages))
    assert all(position in positions[place] for position, place in enumerate(places))


# --- skeletons ---------------------------------------------------------------------------------------------------------


def headers(tar: bytes) -> dict[str, tuple[str, int]]:
    """Path to mode and time of a run of tar headers."""
    blocks = [tar[start : start + 512] for start in range(0, len(tar), 512)]
    return {block[:100].rstrip(b"\0").decode(): (block[100:107].decode().lstrip("0"), int(block[136:147], 8)) for block in blocks}


def test_a_group_s_directories_are_those_of_its_own_packages() -> None:
    packages = [
        package("base", [directory("usr", mtime=5), directory("usr/bin"), Entry("usr/bin/a", EntryType.FILE)]),
        package("tool-doc", [directory("usr", 0o750, 7), directory("usr/share")], origin="tool"),
        package("tool", [directory("usr", 0o700, 9), Entry("usr/lib/deep/x", EntryType.FILE)]),
    ]
    plan = plan_tree(packages)
    assert headers(group_skeleton(plan, (0,))) == {"usr": ("755", 5), "usr/bin": ("755", 0)}
    # tool is named as its origin, so it decides before tool-doc
    assert headers(group_skeleton(plan, (1, 2))) == {
        "usr": ("700", 9),
        "usr/lib": ("755", 0),
        "usr/lib/deep": ("755", 0),
        "usr/share": ("755", 0),
    }
    assert list(headers(group_skeleton(plan, (1, 2)))) == ["usr", "usr/lib", "usr/lib/deep", "usr/share"]


# --- generated content ---------------------------------------------------------------------------------------------------


def test_hard_links_come_after_what_they_name() -> None:
    draft = Draft(MemoryTree())
    draft.put("r", Entry("z", EntryType.FILE), b"content")
    draft.put("r", Entry("a", EntryType.HARDLINK, target="z"))
    tar = b"".join(part for part in generated_parts(draft) if isinstance(part, bytes))
    assert tar.index(b"z\0") < tar.index(b"a\0")
    assert tar.endswith(bytes(1024))
    assert len(tar) % 512 == 0


def test_kept_content_is_named_and_its_digest_is_in_the_key() -> None:
    draft = Draft(MemoryTree([Shipped(Entry("f", EntryType.FILE, 0o644, size=700), "p", b"x" * 700)]))
    draft.change("r", "f", mode=0o600)
    parts = list(generated_parts(draft))
    assert KeptContent("f", 700) in parts
    assert sum(part.size if isinstance(part, KeptContent) else len(part) for part in parts) % 512 == 0
    assert parts_key(parts, lambda path: "1") != parts_key(parts, lambda path: "2")
    assert overridden_paths(draft) == {"f"}


# --- the planned tree ----------------------------------------------------------------------------------------------------


def planned(*packages: PackageFiles) -> TreePlan:
    return plan_tree(packages)


def test_peek_says_what_the_winner_ships() -> None:
    loser = package("a", [Entry("x", EntryType.SYMLINK, target="elsewhere"), Entry("y", EntryType.SYMLINK, target="t")])
    winner = package("b", [Entry("x", EntryType.FILE), directory("d")], replaces=("a",))
    tree = PlannedTree(planned(loser, winner), lambda position, path: b"")
    found = {path: tree.peek(path) for path in ("x", "y", "d", "none")}
    assert found["x"] is not None and found["x"].target == ""
    assert found["y"] is not None and found["y"].target == "t"
    assert found["d"] is not None and found["d"].directory
    assert found["none"] is None
