"""What a workspace takes in and gives out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apkiln.core.errors import ConfigurationError, FormatError
from apkiln.formats.archive.entry import EntryType
from apkiln.system.build_workspace import DirectoryWorkspace


def nothing(_path: str, _directory: bool) -> bool:
    return False


@pytest.fixture
def workspace(tmp_path: Path) -> DirectoryWorkspace:
    return DirectoryWorkspace.create(tmp_path / "builds", None)


def source_tree(directory: Path) -> Path:
    directory.mkdir()
    (directory / "sub").mkdir(mode=0o700)
    (directory / "empty").mkdir()
    (directory / "sub/script").write_text("#!/bin/sh\n")
    (directory / "sub/script").chmod(0o750)
    os.link(directory / "sub/script", directory / "other-name")
    (directory / "inside").symlink_to("sub/script")
    (directory / "outside").symlink_to("../../etc/passwd")
    return directory


def test_links_modes_and_empty_directories_are_copied(workspace: DirectoryWorkspace, tmp_path: Path) -> None:
    notes = workspace.populate(source_tree(tmp_path / "source"), nothing)
    home = Path(workspace.home)
    assert (home / "sub/script").stat().st_mode & 0o777 == 0o750
    assert (home / "sub").stat().st_mode & 0o777 == 0o700
    assert (home / "empty").is_dir()
    assert (home / "other-name").samefile(home / "sub/script")
    assert os.readlink(home / "inside") == "sub/script"
    assert not (home / "outside").is_symlink() and "outside" in notes[0]


def test_excluded_directories_stay_out_with_all_in_them(workspace: DirectoryWorkspace, tmp_path: Path) -> None:
    workspace.populate(source_tree(tmp_path / "source"), lambda path, directory: directory and path == "sub")
    home = Path(workspace.home)
    assert not (home / "sub").exists() and (home / "other-name").read_text() == "#!/bin/sh\n"


def test_a_fifo_in_the_source_directory_is_refused(workspace: DirectoryWorkspace, tmp_path: Path) -> None:
    source = source_tree(tmp_path / "source")
    os.mkfifo(source / "pipe")
    with pytest.raises(ConfigurationError) as caught:
        workspace.populate(source, nothing)
    assert caught.value.reason == "bad-source-file"


def test_outputs_come_back_as_entries_with_hard_links(workspace: DirectoryWorkspace) -> None:
    workspace.make_output("demo")
    top = Path(workspace.home, "melange-out/demo")
    (top / "usr").mkdir()
    (top / "usr/a").write_bytes(b"content")
    os.link(top / "usr/a", top / "usr/b")
    (top / "usr/c").symlink_to("a")
    workspace.settle()
    found = {entry.path: entry for entry in workspace.output("demo")}
    assert found["usr"].type is EntryType.DIRECTORY
    assert (found["usr/a"].type, found["usr/a"].size) == (EntryType.FILE, 7)
    assert (found["usr/b"].type, found["usr/b"].target) == (EntryType.HARDLINK, "usr/a")
    assert found["usr/c"].target == "a"
    assert b"".join(workspace.content("demo", "usr/a")) == b"content"


@pytest.mark.parametrize("replaced", ["melange-out/ssl", "melange-out"])
def test_an_output_that_was_replaced_by_a_link_is_refused(workspace: DirectoryWorkspace, replaced: str) -> None:
    place = Path(workspace.home, replaced)
    if place.exists():
        place.rmdir()
    place.symlink_to("/etc")
    with pytest.raises(FormatError) as caught:
        workspace.output("ssl")
    assert caught.value.reason == "output-not-a-directory"


def test_an_output_that_was_removed_is_empty(workspace: DirectoryWorkspace) -> None:
    assert workspace.output("demo") == ()
    Path(workspace.home, "melange-out").rmdir()
    assert workspace.output("demo") == ()


def test_links_inside_are_followed(workspace: DirectoryWorkspace) -> None:
    Path(workspace.home, "d").mkdir()
    Path(workspace.home, "d/terms").write_text("x")
    for name, target in (("one", "d/terms"), ("two", "/home/build/one"), ("loop", "loop"), ("d/up", "../one")):
        Path(workspace.home, name).symlink_to(target)
    assert [workspace.read(name, 9) for name in ("one", "two", "d/up", "loop")] == [b"x", b"x", b"x", None]


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link", "missing", ""])
def test_reading_does_not_leave_the_workspace(workspace: DirectoryWorkspace, path: str) -> None:
    Path(workspace.home, "link").symlink_to("/etc/passwd")
    assert workspace.read(path, 1 << 20) is None


def test_everything_is_removed_also_what_nobody_may_write(workspace: DirectoryWorkspace) -> None:
    deep = Path(workspace.home, "deep/er")
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    deep.chmod(0o000)
    deep.parent.chmod(0o500)
    workspace.remove()
    assert not Path(workspace.home).parent.exists()


def test_what_dead_users_left_is_removed_and_living_ones_keep_theirs(tmp_path: Path) -> None:
    living = DirectoryWorkspace.create(tmp_path, None)
    dead = tmp_path / "build-0123456789abcdef"
    (dead / "home").mkdir(parents=True)
    other = DirectoryWorkspace.create(tmp_path, None)
    assert not dead.exists() and Path(living.home).is_dir()
    other.remove()
    living.remove()
