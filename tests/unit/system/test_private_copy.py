"""The copy that stands in for an overlay mount."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apkiln.core.errors import EnvironmentFault
from apkiln.system.private_copy import private_copy


def test_files_links_modes_are_copied_and_removed_at_the_end(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "file").write_bytes(b"content")
    (source / "a" / "file").chmod(0o750)
    (source / "link").symlink_to("../../outside")
    os.mkfifo(source / "pipe")
    with private_copy(str(source), str(tmp_path / "copy"), 0) as copy:
        found = sorted(str(path.relative_to(copy)) for path in Path(copy).rglob("*"))
        assert found == ["a", "a/b", "a/file", "link"]
        assert (Path(copy) / "a" / "file").stat().st_mode & 0o777 == 0o750
        assert os.readlink(f"{copy}/link") == "../../outside"
    assert not (tmp_path / "copy").exists()


def test_a_tree_that_holds_the_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught, private_copy(str(tmp_path), str(tmp_path / "copy"), 0):
        pass
    assert caught.value.reason == "copy-inside-itself"
    assert not (tmp_path / "copy").exists()


def test_a_copy_beyond_the_limit_is_refused_and_removed(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "big").write_bytes(b"x" * 1000)
    with pytest.raises(EnvironmentFault) as caught, private_copy(str(tmp_path / "source"), str(tmp_path / "copy"), 999):
        pass
    assert caught.value.reason == "copy-too-large"
    assert not (tmp_path / "copy").exists()


def test_other_file_systems_are_left_out() -> None:
    """`/` itself can never be the source of a copy into a directory below it."""
    with pytest.raises(EnvironmentFault), private_copy("/", "/tmp/never", 1):
        pass
