"""Who owns a path: the table of spec apk.md §11.3 row by row, and the laws of a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.errors import ApkilnError, ConflictError, FaultGroup
from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.rootfs.directory import Directory
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.tree import PackagesTree, without
from apkiln.rootfs.tree_plan import OwnershipPolicy, TreePlan, tree_order

Shipped = Entry | tuple[Entry, bytes]


def file(path: str, content: bytes = b"", mode: int = 0o644, uid: int = 0, mtime: int = 0) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.FILE, mode, uid, size=len(content), mtime=mtime), content


def link(path: str, target: str) -> Entry:
    return Entry(path, EntryType.SYMLINK, 0o777, target=target)


def hard(path: str, target: str) -> Entry:
    return Entry(path, EntryType.HARDLINK, target=target)


def directory(path: str, mode: int = 0o755, uid: int = 0, mtime: int = 0) -> Entry:
    return Entry(path, EntryType.DIRECTORY, mode, uid, mtime=mtime)


def package(
    name: str,
    *shipped: Shipped,
    version: str = "1-r0",
    origin: str | None = None,
    replaces: Iterable[str] = (),
    priority: int = 0,
) -> PackageFiles:
    """A package with the given paths; the directories above them are added."""
    listed: list[ContentEntry] = []
    given = [(item, b"") if isinstance(item, Entry) else item for item in shipped]
    known = {entry.path for entry, _ in given}
    for entry, content in given:
        parts = entry.path.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if above not in known:
                known.add(above)
                listed.append(ContentEntry(directory(above)))
        if entry.type is EntryType.FILE:
            listed.append(ContentEntry(entry, hashlib.sha1(content).digest(), hashlib.sha256(content).digest()))
        elif entry.type is EntryType.SYMLINK:
            listed.append(ContentEntry(entry, hashlib.sha1(entry.target.encode()).digest()))
        else:
            listed.append(ContentEntry(entry))
    origin = name if origin is None else origin
    info = PackageInfo(name, version, "x86_64", origin=origin, replaces=tuple(replaces), replaces_priority=priority)
    sha256 = hashlib.sha256(repr((info, listed)).encode()).digest()
    return PackageFiles.of(PackageContents(info, sha256[:20], sha256, 1, (), (), (), tuple(listed)))


def owner(plan: TreePlan, path: str) -> str:
    return plan.packages[plan.owners()[path]].files.name


def kinds(plan: TreePlan) -> list[str]:
    return [notice.kind for notice in plan.notices]


def reasons(packages: Iterable[PackageFiles], policy: OwnershipPolicy | None = None) -> list[str]:
    with pytest.raises(ApkilnError) as caught:
        plan_tree(tuple(packages), policy)
    error = caught.value
    return [fault.reason for fault in (error.faults if isinstance(error, FaultGroup) else (error,))]


P = "etc/shared.conf"


@pytest.mark.parametrize(
    ("first", "second", "winner", "notices"),
    [
        # one package name: the later takes over
        (package("a", file(P, b"1")), package("a", file(P, b"2"), version="2-r0"), 1, []),
        # the newcomer replaces the owner
        (package("a", file(P, b"1")), package("b", file(P, b"2"), replaces=["a"]), 1, []),
        (package("a", file(P, b"1"), version="1-r0"), package("b", file(P, b"2"), replaces=["a<2"]), 1, []),
        # the owner replaces the newcomer
        (package("a", file(P, b"1"), replaces=["b"]), package("b", file(P, b"2")), 0, []),
        (package("a", file(P, b"1"), replaces=["b"], priority=1), package("b", file(P, b"2")), 0, []),
        # both: the higher priority, at a tie the newcomer
        (package("a", file(P, b"1"), replaces=["b"], priority=2), package("b", file(P, b"2"), replaces=["a"], priority=1), 0, []),
        (package("a", file(P, b"1"), replaces=["b"], priority=1), package("b", file(P, b"2"), replaces=["a"], priority=2), 1, []),
        (package("a", file(P, b"1"), replaces=["b"]), package("b", file(P, b"2"), replaces=["a"]), 1, []),
        # identical: the first keeps it; times do not count
        (package("a", file(P, b"1", mtime=5)), package("b", file(P, b"1", mtime=9)), 0, ["identical"]),
        (package("a", link(P, "x")), package("b", link(P, "x")), 0, ["identical"]),
        # a rule that speaks comes before equality
        (package("a", file(P, b"1")), package("b", file(P, b"1"), replaces=["a"]), 1, []),
        # one origin
        (package("a", file(P, b"1"), origin="s"), package("b", file(P, b"2"), origin="s"), 1, ["same-origin"]),
        # equal comes before one origin
        (package("a", file(P, b"1"), origin="s"), package("b", file(P, b"1"), origin="s"), 0, ["identical"]),
        # types may differ where a rule speaks
        (package("a", file(P, b"1")), package("b", link(P, "x"), replaces=["a"]), 1, []),
    ],
)
def test_two_packages_ship_one_path(first: PackageFiles, second: PackageFiles, winner: int, notices: list[str]) -> None:
    plan = plan_tree((first, second))
    assert plan.owners()[P] == winner
    assert plan.packages[winner].excluded == ()
    assert plan.packages[1 - winner].excluded == (P,)
    assert kinds(plan) == notices


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (package("a", file(P, b"1")), package("b", file(P, b"2"))),
        (package("a", file(P, b"1")), package("b", file(P, b"1", mode=0o600))),
        (package("a", file(P, b"1")), package("b", file(P, b"1", uid=7))),
        (package("a", file(P, b"")), package("b", link(P, "x"))),
        (package("a", link(P, "y")), package("b", link(P, "x"))),
        # `replaces` speaks of another version, or of a provided name
        (package("a", file(P, b"1"), version="3-r0"), package("b", file(P, b"2"), replaces=["a<2"])),
        (package("a", file(P, b"1")), package("b", file(P, b"2"), replaces=["virtual"])),
    ],
)
def test_two_packages_without_a_rule_conflict(first: PackageFiles, second: PackageFiles) -> None:
    with pytest.raises(ConflictError) as caught:
        plan_tree((first, second))
    assert caught.value.reason == "file-conflict"
    assert caught.value.origin.member == P
    assert first.name_version in caught.value.message and second.name_version in caught.value.message


def test_an_empty_origin_is_no_common_origin() -> None:
    pair = package("a", file(P, b"1"), origin=""), package("b", file(P, b"2"), origin="")
    assert [item.head.info.origin for item in pair] == ["", ""]
    assert reasons(pair) == ["file-conflict"]


def test_the_policy_narrows_and_widens() -> None:
    same = package("a", file(P, b"1")), package("b", file(P, b"1"))
    assert reasons(same, OwnershipPolicy(allow_identical=False)) == ["file-conflict"]
    sisters = package("a", file(P, b"1"), origin="s"), package("b", file(P, b"2"), origin="s")
    assert reasons(sisters, OwnershipPolicy(strict_origin=True)) == ["file-conflict"]
    strangers = package("a", file(P, b"1")), package("b", file(P, b"2"))
    for pattern in (P, f"/{P}", "etc/*"):
        plan = plan_tree(strangers, OwnershipPolicy(force_overwrite=(pattern,)))
        assert (owner(plan, P), kinds(plan)) == ("b", ["forced"])
    assert reasons(strangers, OwnershipPolicy(force_overwrite=("usr/*",))) == ["file-conflict"]


def test_all_conflicts_are_reported_at_once() -> None:
    first = package("a", file("x", b"1"), file("y", b"1"), file("z"))
    pair = first, package("b", file("x", b"2"), file("y", b"2"), directory("z"))
    assert reasons(pair) == ["file-conflict", "file-conflict", "file-over-directory"]


def test_devices_need_permission() -> None:
    node = package("a", Entry("dev/x", EntryType.CHARACTER, 0o600, device=(1, 3)), Entry("fifo", EntryType.FIFO))
    assert reasons([node]) == ["device-not-allowed", "device-not-allowed"]
    assert owner(plan_tree([node], OwnershipPolicy(allow_devices=True)), "dev/x") == "a"


def test_a_hard_link_counts_as_its_file() -> None:
    linked = package("a", file("bin/one", b"x", 0o755), hard("bin/two", "bin/one"))
    plan = plan_tree((linked, package("b", file("bin/two", b"x", 0o755))))
    assert kinds(plan) == ["identical"]
    assert reasons((linked, package("b", file("bin/two", b"y", 0o755)))) == ["file-conflict"]


def test_a_hard_link_outlives_its_lost_file() -> None:
    linked = package("a", file("bin/1", b"x", 0o755), hard("bin/2", "bin/1"), hard("bin/3", "bin/1"))
    plan = plan_tree((linked, package("b", file("bin/1", b"y"), replaces=["a"])))
    tree = PackagesTree(plan, lambda position, path: f"{position}:{path}".encode())
    second, third = tree.entry("bin/2"), tree.entry("bin/3")
    assert second is not None and (second.type, second.mode, second.size) == (EntryType.FILE, 0o755, 1)
    assert third is not None and (third.type, third.target) == (EntryType.HARDLINK, "bin/2")
    assert tree.links_to("bin/2") == ("bin/3",)
    assert tree.links_to("bin/1") == ()
    assert tree.read("bin/1") == b"1:bin/1"
    assert tree.sha256("bin/3") == hashlib.sha256(b"x").hexdigest()


class TestDirectories:
    def test_metadata_comes_from_the_owner(self) -> None:
        plain = package("zz", directory("srv", 0o700), origin="other")
        own = package("yy", directory("srv", 0o711), origin="yy")
        loud = package("xx", directory("srv", 0o722), origin="other", priority=1)
        early = package("aa", directory("srv", 0o733), origin="other")
        for members, mode in (((plain, early), 0o733), ((plain, early, own), 0o711), ((plain, own, early, loud), 0o722)):
            for order in (members, members[::-1]):
                plan = plan_tree(order)
                (found,) = plan.directories
                assert found.directory.mode == mode
                assert order[found.owner].directories[0].mode == mode
                assert found.packages == tuple(range(len(order)))
                assert kinds(plan) == ["directory-differs"] * (len(order) - 1)

    def test_times_alone_make_no_notice(self) -> None:
        plan = plan_tree((package("a", directory("srv", mtime=1)), package("b", directory("srv", mtime=2))))
        assert kinds(plan) == [] and plan.directories[0].directory.mtime == 1

    def test_they_are_listed_depth_first(self) -> None:
        plan = plan_tree((package("a", directory("lib-y"), directory("lib"), directory("lib/x"), directory("b")),))
        assert [item.directory.path for item in plan.directories] == ["b", "lib", "lib/x", "lib-y"]

    def test_the_builders_own_yield(self) -> None:
        policy = OwnershipPolicy(init_directories=(Directory("opt", 0o700), Directory("var/cache"), Directory("var/cache/apk")))
        plan = plan_tree((package("a", link("var/cache", "/tmp"), directory("opt", 0o755)),), policy)
        assert [(item.directory.path, item.directory.mode, item.owner) for item in plan.directories] == [
            ("opt", 0o755, 0),
            ("var", 0o755, 0),
        ]
        assert kinds(plan) == ["init-directory-yields"]

    def test_the_builders_own_do_not_yield_when_used(self) -> None:
        policy = OwnershipPolicy(init_directories=(Directory("opt"),))
        used = package("a", file("opt/x")), package("b", file("opt"))
        assert reasons(used, policy) == ["file-over-directory"]


class TestMergedDirectories:
    layout = package("layout", directory("usr/bin"), directory("usr/lib"), link("bin", "usr/bin"), link("lib", "/usr/lib"))

    def test_paths_go_where_the_link_leads(self) -> None:
        tool = package("tool", file("bin/tool", b"t", 0o755), file("lib/t/data", b"d"), link("lib/t/l", "data"))
        plan = plan_tree((self.layout, tool))
        assert plan.packages[1].moved == (
            ("bin/tool", "usr/bin/tool"),
            ("lib/t/data", "usr/lib/t/data"),
            ("lib/t/l", "usr/lib/t/l"),
        )
        assert sorted(plan.owners()) == ["bin", "lib", "usr/bin/tool", "usr/lib/t/data", "usr/lib/t/l"]
        assert [item.directory.path for item in plan.directories] == ["usr", "usr/bin", "usr/lib", "usr/lib/t"]
        assert kinds(plan) == ["moved-through-symlink"] * 2

    def test_moved_paths_meet_others(self) -> None:
        old, new = package("old", file("bin/x", b"1")), package("new", file("usr/bin/x", b"2"))
        assert reasons((self.layout, old, new)) == ["file-conflict"]
        plan = plan_tree((self.layout, package("old", file("bin/x", b"1"), replaces=["new"]), new))
        assert owner(plan, "usr/bin/x") == "old"
        assert plan.packages[2].excluded == ("usr/bin/x",)

    def test_one_package_meets_itself(self) -> None:
        twice = file("bin/y", b"2"), file("usr/bin/y", b"2")
        both = package("both", file("usr/bin/x", b"1"), link("bin/x", "../usr/bin/x"), *twice)
        plan = plan_tree((self.layout, both))
        assert plan.packages[1].excluded == ("bin/x", "usr/bin/y")
        first = package("both", link("bin/x", "/usr/bin/x"), file("usr/bin/x", b"1"))
        assert plan_tree((self.layout, first)).packages[1].excluded == ("bin/x",)
        assert reasons((self.layout, package("both", file("bin/y", b"1"), file("usr/bin/y", b"2")))) == ["file-conflict"]

    def test_links_behind_links(self) -> None:
        far = package("far", link("usr/lib/d", "../share/d"), directory("usr/share/d"))
        user = package("user", file("lib/d/e", b"1"))
        plan = plan_tree((self.layout, far, user))
        assert plan.packages[2].moved == (("lib/d/e", "usr/share/d/e"),)

    def test_absolute_links_start_at_the_root(self) -> None:
        deep = package("deep", link("opt/lib", "/usr/lib"), link("opt/bin", "../usr/bin"))
        user = package("user", file("opt/lib/x", b"1"), file("opt/bin/y", b"2"))
        plan = plan_tree((self.layout, deep, user))
        assert plan.packages[2].moved == (("opt/bin/y", "usr/bin/y"), ("opt/lib/x", "usr/lib/x"))

    def test_hard_links_move_together(self) -> None:
        linked = package("linked", file("bin/1", b"x"), hard("bin/2", "bin/1"))
        tree = PackagesTree(plan_tree((self.layout, linked)), lambda position, path: path.encode())
        entry = tree.entry("usr/bin/2")
        assert entry is not None and (entry.path, entry.target) == ("usr/bin/2", "usr/bin/1")
        assert tree.links_to("usr/bin/1") == ("usr/bin/2",)
        assert tree.read("usr/bin/2") == b"bin/2"

    @pytest.mark.parametrize("target", ["usr/absent", "../outside", "bin", "/usr/bin/x", "usr/bin/../../.."])
    def test_a_link_that_leads_to_no_directory_conflicts(self, target: str) -> None:
        broken = package("layout", file("usr/bin/x"), link("bin", target))
        assert reasons((broken, package("tool", file("bin/tool")))) == ["symlink-over-directory"]

    def test_the_link_must_come_first(self) -> None:
        assert reasons((package("tool", file("bin/tool")), self.layout)) == ["symlink-over-directory"]

    def test_a_file_is_no_directory(self) -> None:
        assert reasons((package("a", file("bin")), package("tool", file("bin/tool")))) == ["file-over-directory"]


NAMES = "abcde"
PATHS = ("f", "d/f", "d/g", "d/e/f", "h")


@st.composite
def package_sets(draw: st.DrawFn) -> tuple[PackageFiles, ...]:
    chosen = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    made = []
    for name in chosen:
        shipped = [
            file(path, draw(st.sampled_from([b"1", b"2"]))) for path in draw(st.lists(st.sampled_from(PATHS), unique=True))
        ]
        others = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
        priority, origin = draw(st.integers(0, 2)), draw(st.sampled_from(["", "one"]))
        made.append(package(name, *shipped, replaces=others, priority=priority, origin=origin))
    return tuple(made)


@settings(max_examples=200, deadline=None)
@given(packages=package_sets())
def test_every_path_has_one_owner(packages: tuple[PackageFiles, ...]) -> None:
    try:
        plan = plan_tree(packages)
    except ApkilnError:
        plan = plan_tree(packages, OwnershipPolicy(force_overwrite=("*",)))
    winners = [place for item in plan.packages for _, place in item.winning()]
    assert len(winners) == len(set(winners))
    assert set(winners) == {path for item in packages for path in item.paths}
    assert dict.fromkeys(winners).keys() == plan.owners().keys()
    for item in plan.packages:
        assert set(item.excluded) <= set(item.files.paths)
        for path in item.excluded:
            assert any(path in other.files.paths for other in plan.packages if other is not item)


@settings(max_examples=200, deadline=None)
@given(packages=package_sets(), data=st.data())
def test_packages_that_do_not_meet_may_come_in_any_order(packages: tuple[PackageFiles, ...], data: st.DataObject) -> None:
    """Owners by name are the same for every order that keeps packages with a common path in order."""
    policy = OwnershipPolicy(force_overwrite=("*",))
    order = data.draw(st.permutations(packages))
    position = {item.name: index for index, item in enumerate(packages)}

    def keeps(one: PackageFiles, other: PackageFiles) -> bool:
        return set(one.paths).isdisjoint(other.paths) or position[one.name] < position[other.name]

    if not all(keeps(one, other) for index, one in enumerate(order) for other in order[index + 1 :]):
        order = list(packages)
    first, second = plan_tree(packages, policy), plan_tree(order, policy)
    assert {path: owner(first, path) for path in first.owners()} == {path: owner(second, path) for path in second.owners()}
    assert [item.directory for item in first.directories] == [item.directory for item in second.directories]


@given(paths=st.lists(st.lists(st.text("ab-.", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join), unique=True))
def test_tree_order_is_depth_first(paths: list[str]) -> None:
    assert sorted(paths, key=tree_order) == sorted(paths, key=lambda path: [part.encode() for part in path.split("/")])


def test_without_takes_paths_away() -> None:
    plan = plan_tree((package("a", file("d/x", b"1"), file("d/y", b"2")), package("b", file("d/z"))))
    less = without(plan, ["d/x", "d", "absent"])
    assert less.packages[0].excluded == ("d/x",)
    assert set(less.owners()) == {"d/y", "d/z"}
    assert less.directories == ()
    assert without(plan, []) is plan


def test_a_plan_seen_as_a_tree() -> None:
    policy = OwnershipPolicy(init_directories=(Directory("opt", 0o711),))
    plan = plan_tree((package("a", file("d/x", b"1", 0o600)), package("b", directory("d/e"), link("l", "d"))), policy)
    tree = PackagesTree(plan, lambda position, path: f"{position}:{path}".encode())
    assert set(tree.paths()) == {"d", "d/e", "d/x", "l", "opt"}
    assert [tree.package(path) for path in ("d", "d/e", "d/x", "l", "opt")] == ["a", "b", "a", "b", ""]
    assert tree.entry("d/x") == file("d/x", b"1", 0o600)[0]
    assert tree.entry("opt") == directory("opt", 0o711)
    assert tree.entry("absent") is None and tree.directory("l") is None
    assert tree.read("d/x") == b"0:d/x"
    with pytest.raises(KeyError):
        tree.package("absent")
