"""One contract for trees on disk and their twin, and what only the disk can show."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from apkiln.core.errors import ApkilnError, FormatError
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.system.memory_trees import MemoryTrees
from apkiln.system.tree_reader import read_tree
from apkiln.system.trees import DirectoryTrees, Trees, TreeWriter

KINDS: dict[str, Callable[[Path], Trees]] = {
    "memory": lambda path: MemoryTrees(),
    "disk": lambda path: DirectoryTrees(path / "trees"),
}


@pytest.fixture(params=sorted(KINDS))
def trees(request: pytest.FixtureRequest, tmp_path: Path) -> Trees:
    return KINDS[request.param](tmp_path)


def file(path: str, mode: int = 0o644) -> Entry:
    return Entry(path, EntryType.FILE, mode, os.geteuid(), os.getegid(), size=1, mtime=1000)


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, EntryType.DIRECTORY, mode, os.geteuid(), os.getegid(), mtime=1000)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, EntryType.SYMLINK, 0o777, os.geteuid(), os.getegid(), target=target)


def fill(writer: TreeWriter) -> None:
    writer.add(directory("etc"), ())
    writer.add(file("etc/one"), (b"on", b"e"))
    writer.add(symlink("etc/link", "one"), ())
    writer.add(Entry("etc/same", EntryType.HARDLINK, target="etc/one"), ())


def test_a_tree_exists_when_it_is_complete(trees: Trees) -> None:
    with trees.build("key") as writer:
        fill(writer)
        assert trees.find("key") is None
    assert trees.find("key") is not None
    assert trees.read("key", "etc/one", 100) == b"one"
    assert trees.read("key", "etc/same", 100) == b"one"


def test_an_error_leaves_no_tree(trees: Trees) -> None:
    with pytest.raises(ZeroDivisionError), trees.build("key") as writer:
        fill(writer)
        raise ZeroDivisionError
    assert trees.find("key") is None


def test_reading_is_bounded_and_follows_no_link(trees: Trees) -> None:
    with trees.build("key") as writer:
        fill(writer)
        writer.add(symlink("away", "/etc"), ())
    assert trees.read("key", "etc/one", 2) is None
    assert trees.read("key", "etc/link", 100) is None
    assert trees.read("key", "away/passwd", 10_000) is None
    assert trees.read("key", "etc", 100) is None
    assert trees.read("other", "etc/one", 100) is None


def test_whiteouts_and_later_entries_replace_what_was_there(trees: Trees) -> None:
    with trees.build("key") as writer:
        for path in ("a/b/c", "a/d", "e/f"):
            writer.add(file(path), (b"1",))
        writer.remove("a/b")
        writer.remove("a/nothing")
        writer.clear("e")
        writer.add(file("a/d"), (b"2",))
        writer.add(file("a/b"), (b"3",))
        writer.add(directory("a/d"), ())
        writer.add(file("a/d/x"), (b"4",))
    assert [trees.read("key", path, 9) for path in ("a/b", "a/d/x", "e/f", "a/b/c")] == [b"3", b"4", None, None]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([symlink("out", "/tmp"), file("out/planted")], "path-through-symlink"),
        ([symlink("out", "../../../tmp"), directory("out/planted")], "path-through-symlink"),
        ([file("plain"), file("plain/below")], "path-below-file"),
        ([Entry("link", EntryType.HARDLINK, target="nothing")], "hard-link-target"),
        ([symlink("passwd", "/etc/passwd"), Entry("link", EntryType.HARDLINK, target="passwd")], "hard-link-target"),
        ([file("../escape")], "name-dot-dot-component"),
        ([file("/absolute")], "name-absolute"),
    ],
)
def test_nothing_reaches_out_of_the_tree(trees: Trees, entries: list[Entry], reason: str) -> None:
    with pytest.raises(FormatError) as caught, trees.build("key") as writer:
        for entry in entries:
            writer.add(entry, (b"x",) if entry.type is EntryType.FILE else ())
    assert caught.value.reason == reason
    assert trees.find("key") is None


def test_a_hard_link_through_a_symlink_is_refused(trees: Trees) -> None:
    with pytest.raises(ApkilnError), trees.build("key") as writer:
        writer.add(symlink("out", "/etc"), ())
        writer.add(Entry("link", EntryType.HARDLINK, target="out/passwd"), ())


def test_modes_times_and_links_are_on_the_disk(tmp_path: Path) -> None:
    trees = DirectoryTrees(tmp_path / "trees")
    with trees.build("key") as writer:
        fill(writer)
        writer.add(file("etc/tool", 0o4755), (b"x",))
        writer.add(directory("closed", 0o500), ())
        writer.add(file("closed/inner"), (b"x",))
        writer.add(Entry("dev", EntryType.CHARACTER, device=(1, 3)), ())
        assert writer.skipped == 1
    root = Path(trees.find("key") or "")
    assert stat.S_IMODE((root / "etc/tool").lstat().st_mode) == 0o4755
    assert (root / "etc/one").stat().st_mtime == 1000
    assert (root / "etc").stat().st_mtime == 1000
    assert (root / "etc/one").stat().st_ino == (root / "etc/same").stat().st_ino
    assert (root / "etc/link").readlink() == Path("one")
    assert stat.S_IMODE((root / "closed").stat().st_mode) & 0o077 == 0
    assert not (root / "dev").exists()
    assert stat.S_IMODE((tmp_path / "trees").stat().st_mode) == 0o700


def test_what_a_dead_writer_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "trees" / ".building-dead" / "root"
    left.mkdir(parents=True)
    with DirectoryTrees(tmp_path / "trees").build("key"):
        assert not left.exists()
    assert sorted(path.name for path in (tmp_path / "trees").iterdir()) == ["key"]


def test_a_tree_read_back_is_the_tree_written(tmp_path: Path) -> None:
    trees = DirectoryTrees(tmp_path / "trees")
    with trees.build("key") as writer:
        fill(writer)
    found = {entry.path: (entry, b"".join(chunks)) for entry, chunks in read_tree(Path(trees.find("key") or ""))}
    assert list(found) == ["etc", "etc/link", "etc/one", "etc/same"]
    assert found["etc/one"] == (file("etc/one")._replace(size=3), b"one")
    assert found["etc/link"][0].target == "one"
    assert (found["etc/same"][0].type, found["etc/same"][0].target) == (EntryType.HARDLINK, "etc/one")


def test_joined_trees_show_the_first_that_has_a_path(trees: Trees) -> None:
    with trees.build("upper") as writer:
        writer.add(directory("etc", 0o750), ())
        writer.add(file("etc/both"), (b"u",))
        writer.add(symlink("was-directory", "etc"), ())
    with trees.build("lower") as writer:
        writer.add(directory("etc", 0o700), ())
        writer.add(file("etc/both"), (b"l",))
        writer.add(file("etc/lower"), (b"l",))
        writer.add(directory("was-directory"), ())
        writer.add(file("was-directory/hidden"), (b"h",))
        writer.add(Entry("etc/again", EntryType.HARDLINK, target="etc/lower"), ())
    place = trees.joined(("upper", "lower"))
    assert trees.joined(["upper", "lower"]) == place, "made once"
    key = place.rsplit("/", 2)[-2 if place.endswith("/root") else -1]
    assert trees.read(key, "etc/both", 9) == b"u"
    assert trees.read(key, "etc/lower", 9) == trees.read(key, "etc/again", 9) == b"l"
    assert trees.read(key, "was-directory/hidden", 9) is None
    assert trees.joined(("lower", "upper")) != place


def test_joined_trees_share_their_files_and_keep_modes(tmp_path: Path) -> None:
    trees = DirectoryTrees(tmp_path / "trees")
    with trees.build("upper") as writer:
        writer.add(directory("etc", 0o750), ())
        writer.add(file("etc/one", 0o640), (b"u",))
    with trees.build("lower") as writer:
        writer.add(directory("etc", 0o700), ())
        writer.add(file("etc/two", 0o600), (b"l",))
    joined = Path(trees.joined(("upper", "lower")))
    assert joined.joinpath("etc").stat().st_mode & 0o777 == 0o750
    assert joined.joinpath("etc/two").samefile(tmp_path / "trees/lower/root/etc/two")
    assert sorted(path.name for path in joined.joinpath("etc").iterdir()) == ["one", "two"]
