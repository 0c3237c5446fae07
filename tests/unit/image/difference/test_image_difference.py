"""Differences: none with itself, mirrored when sides change place, each field told; locks and images read as they are."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st
from tests.image_workshop import AMD64, ARM64, Workshop, definition
from tests.sample_packages import SamplePackage, sample_package

from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.core.value import replace
from apkiln.image.difference.comparing import Difference, PackageChangeKind, compare_contents
from apkiln.image.difference.contents import ArchitectureContents, Contents, FileRow, PackageRow
from apkiln.image.difference.reading import contents_of_lock, contents_of_resolution, read_contents
from apkiln.image.difference.rendering import lines, value
from apkiln.image.lock.writing import write_lock

NAMES = st.sampled_from(["a", "b", "c"])
PACKAGE = st.builds(
    PackageRow,
    NAMES,
    st.sampled_from(["1.0-r0", "1.0-r1", "2.0-r0"]),
    st.sampled_from(["", "o", "p"]),
    st.sampled_from(["", "Q1x", "Q1y"]),
)
FILE = st.builds(
    FileRow,
    st.sampled_from(["etc/x", "etc/y"]),
    st.sampled_from(["file", "symlink"]),
    st.sampled_from([0o644, 0o755]),
    st.integers(0, 1),
    st.integers(0, 1),
    st.integers(0, 1),
    st.sampled_from(["", "aa"]),
    st.sampled_from([(), (("user.x", b"1"),)]),
    st.sampled_from(["", "a"]),
)
PAIRS = st.dictionaries(st.sampled_from(["cmd", "user"]), st.sampled_from(["x", "y"]), max_size=2).map(
    lambda found: tuple(sorted(found.items()))
)
ARCHITECTURE = st.builds(
    ArchitectureContents,
    st.sampled_from(["x86_64", "aarch64"]),
    st.lists(PACKAGE, max_size=3, unique_by=lambda row: row.name).map(tuple),
    st.lists(FILE, max_size=2, unique_by=lambda row: row.path).map(tuple),
    PAIRS,
)
SIDES = st.builds(
    Contents,
    st.just("side"),
    st.lists(ARCHITECTURE, max_size=2, unique_by=lambda item: item.arch).map(tuple),
    PAIRS,
    st.just(True),
)
MIRRORED = {
    PackageChangeKind.ADDED: PackageChangeKind.REMOVED,
    PackageChangeKind.REMOVED: PackageChangeKind.ADDED,
    PackageChangeKind.UPGRADED: PackageChangeKind.DOWNGRADED,
    PackageChangeKind.DOWNGRADED: PackageChangeKind.UPGRADED,
}


@given(SIDES)
def test_nothing_differs_from_itself(side: Contents) -> None:
    difference = compare_contents(side, side)
    assert not difference
    assert list(lines(difference)) == []
    assert value(difference)["equal"] is True


@given(SIDES, SIDES)
def test_changing_places_mirrors_the_difference(one: Contents, two: Contents) -> None:
    there, back = compare_contents(one, two), compare_contents(two, one)
    assert (there.added, there.removed) == (back.removed, back.added)
    for left, right in zip(there.architectures, back.architectures, strict=True):
        mirrored = [(MIRRORED.get(change.kind, change.kind), change.after, change.before) for change in left.packages]
        assert mirrored == [tuple(change) for change in right.packages]
        assert [change.path for change in left.files] == [change.path for change in right.files]
        assert [(change.key, change.after, change.before) for change in left.settings] == [tuple(s) for s in right.settings]
    assert bool(there) == bool(back)


@given(SIDES, SIDES)
def test_every_difference_has_a_line_and_a_json_form(one: Contents, two: Contents) -> None:
    difference = compare_contents(one, two)
    assert bool(list(lines(difference, every_file=True))) == bool(difference)
    assert json.loads(json.dumps(value(difference)))["equal"] is not bool(difference)


@given(SIDES)
def test_what_a_side_does_not_know_is_no_difference(side: Contents) -> None:
    """A lock has no files and no licences."""
    bare = Contents(
        "lock",
        tuple(
            ArchitectureContents(item.arch, tuple(row._replace(identity="", origin="") for row in item.packages))
            for item in side.architectures
        ),
    )
    assert not compare_contents(side, bare)


def side_of(*packages: PackageRow, files: tuple[FileRow, ...] = ()) -> Contents:
    return Contents("x", (ArchitectureContents("x86_64", packages, files),), has_files=bool(files))


def text(before: Contents, after: Contents, **options: bool) -> list[str]:
    return list(lines(compare_contents(before, after), **options))


def test_packages_in_words() -> None:
    before = side_of(
        PackageRow("gone", "1-r0"),
        PackageRow("lib", "1-r0", "src", "Q1a"),
        PackageRow("moved", "1-r0", "old", "Q1b"),
        PackageRow("same", "1-r0", "src", "Q1c"),
        PackageRow("top", "2-r0", "top"),
    )
    after = side_of(
        PackageRow("lib", "1.1-r0", "src", "Q1d"),
        PackageRow("moved", "1-r0", "new", "Q1b"),
        PackageRow("new", "1-r0", "src"),
        PackageRow("same", "1-r0", "src", "Q1e"),
        PackageRow("top", "1-r0", "top"),
    )
    assert text(before, after) == [
        "x86_64:",
        "  - gone 1-r0",
        "  ~ lib 1-r0 → 1.1-r0 upgraded (origin src)",
        "  ~ moved 1-r0 origin old → new",
        "  + new 1-r0 (origin src)",
        "  ~ same 1-r0 rebuilt (origin src)",
        "  ~ top 2-r0 → 1-r0 downgraded",
    ]


def test_files_in_words() -> None:
    row = FileRow("etc/x", "file", 0o644, 0, 0, 3, "aa", (), "a")
    changed = FileRow("etc/x", "file", 0o4755, 7, 0, 4, "bb", (("user.x", b"1"),), "b")
    link = FileRow("bin/sh", "symlink", 0o777, 0, 0, 0, "busybox", (), "a")
    before = side_of(files=(row, link, FileRow("opt/y", "file", 0o644, 0, 0)))
    after = side_of(files=(changed, link._replace(content="dash"), FileRow("opt/z", "file", 0o644, 0, 0)))
    assert text(before, after) == [
        "x86_64:",
        "  ~ /bin/sh (a): busybox → dash",
        "  ~ /etc/x (b): content, 3 → 4 bytes, mode 0644 → 4755, owner 0:0 → 7:0, xattrs, of a → of b",
        "  - /opt/y",
        "  + /opt/z",
    ]


def test_files_of_changed_packages_are_counted_unless_asked_for() -> None:
    row = FileRow("usr/a", "file", 0o644, 0, 0, 1, "aa", (), "a")
    before = side_of(PackageRow("a", "1-r0"), files=(row,))
    after = side_of(PackageRow("a", "2-r0"), files=(row._replace(content="bb"),))
    assert text(before, after)[-1] == "    1 path of a"
    assert text(before, after, every_file=True)[-1] == "  ~ /usr/a (a): content"


# --- real images and locks ---------------------------------------------------------------------------------------------


def packages(arch: str = "x86_64", version: str = "1.0-r0") -> list[SamplePackage]:
    return [
        sample_package("base", files={"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/group": b"root:x:0:\n"}, arch=arch),
        sample_package("tool", version, files={"usr/bin/tool": version.encode()}, arch=arch),
    ]


def shop_of(version: str = "1.0-r0", more: str = "", archs: str = "[amd64]") -> Workshop:
    repository = {arch: packages(arch, version) for arch in ("x86_64", "aarch64")}
    return Workshop(repository, definition(("base", "tool"), archs, more))


def contents_of_image(shop: Workshop) -> Contents:
    shop.written(shop.built())
    return read_contents(shop.files, PurePosixPath("out/image"), DEFAULT_LIMITS)


def test_two_builds_of_one_definition_do_not_differ() -> None:
    layered = "layering: {strategy: package, budget: 9}"
    assert not compare_contents(contents_of_image(shop_of()), contents_of_image(shop_of()))
    assert not compare_contents(contents_of_image(shop_of(more=layered)), contents_of_image(shop_of(more=layered)))


def test_images_differ_in_packages_files_and_configuration() -> None:
    changed = "cmd: /usr/bin/tool\npaths: [{path: /usr/bin/tool, type: permissions, permissions: 0o755}]"
    difference = compare_contents(contents_of_image(shop_of()), contents_of_image(shop_of("1.1-r0", changed)))
    (arch,) = difference.architectures
    assert [(change.kind, change.name) for change in arch.packages] == [(PackageChangeKind.UPGRADED, "tool")]
    assert arch.origins == ("tool",)
    tool = next(change for change in arch.files if change.path == "usr/bin/tool")
    assert tool.what == ("content", "mode")
    assert tool.package == "tool"
    assert {change.key for change in arch.settings} == {"cmd"}


def test_a_lock_and_the_image_built_from_it_do_not_differ() -> None:
    shop = shop_of(archs="[amd64, arm64]")
    shop.files.put("out/image.lock.json", write_lock(shop.locked()))
    lock = read_contents(shop.files, PurePosixPath("out/image.lock.json"), DEFAULT_LIMITS)
    image = contents_of_image(shop)
    assert not compare_contents(lock, image)
    assert [item.arch for item in image.architectures] == ["aarch64", "x86_64"]
    newer = contents_of_image(shop_of("1.1-r0", archs="[amd64, arm64]"))
    assert [change.name for item in compare_contents(lock, newer).architectures for change in item.packages] == ["tool", "tool"]


def test_one_architecture_of_a_lock_and_an_image() -> None:
    shop = shop_of(archs="[amd64, arm64]")
    shop.written(shop.built())
    shop.files.put("out/image.lock.json", write_lock(shop.locked()))
    for place in ("out/image", "out/image.lock.json"):
        found = read_contents(shop.files, PurePosixPath(place), DEFAULT_LIMITS, ARM64)
        assert [item.arch for item in found.architectures] == ["aarch64"]


def fresh(shop: Workshop, before: Workshop) -> Difference:
    """What `lock --check` compares: the lock of an earlier state, and what is resolved now."""
    return compare_contents(
        contents_of_lock(before.locked(), "lock", with_indexes=False), contents_of_resolution(shop.resolved(), "now")
    )


def test_a_lock_is_checked_against_what_would_be_resolved() -> None:
    assert not fresh(shop_of(), shop_of())
    (arch,) = fresh(shop_of("1.1-r0"), shop_of()).architectures
    assert [change.kind for change in arch.packages] == [PackageChangeKind.UPGRADED]
    changed = fresh(shop_of(more="cmd: x"), shop_of())
    assert [change.key for change in changed.settings] == ["definition"]


def test_what_a_lock_of_apko_does_not_say_is_no_difference() -> None:
    """Neither digests of indexes nor requests; which indexes were used it says."""
    ours = shop_of().locked()
    bare = [item._replace(index_sha256="", fetched="", generation="") for item in ours.repositories]
    theirs = replace(ours, requested=(), repositories=tuple(bare), files=(), flags=())
    assert not compare_contents(contents_of_lock(ours, "ours"), contents_of_lock(theirs, "theirs"))
    more = replace(theirs, repositories=(*bare, bare[0]._replace(url="other/x86_64/APKINDEX.tar.gz")))
    (change,) = compare_contents(contents_of_lock(ours, "ours"), contents_of_lock(more, "theirs")).settings
    assert (change.key, change.before, change.after) == ("index other/x86_64/APKINDEX.tar.gz", None, "used")


def test_locks_differ_in_indexes_and_requests() -> None:
    one, two = shop_of(), shop_of()
    two.publish("x86_64", [*packages(), sample_package("extra")])
    two.define(definition(("base", "tool", "extra")))
    difference = compare_contents(contents_of_lock(one.locked(), "one"), contents_of_lock(two.locked(), "two"))
    assert {change.key for change in difference.settings} == {"definition", "index repo/x86_64/APKINDEX.tar.gz"}
    (arch,) = difference.architectures
    assert arch.arch == AMD64.apk
    assert [change.key for change in arch.settings] == ["requested"]
    assert [change.name for change in arch.packages] == ["extra"]
