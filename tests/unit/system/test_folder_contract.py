"""Folders: one contract for the directory on disk and the one in memory, and links that lead out."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from apkiln.core.errors import FormatError
from apkiln.system.folder import DirectoryFolder, Folder, MemoryFolder

FILES = {"a.yaml": b"a", "sub/b.yaml": b"bb", "sub/deep/c": b"ccc"}


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "memory":
        return MemoryFolder(FILES)
    for name, data in FILES.items():
        place = tmp_path / "root" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (tmp_path / "outside").write_bytes(b"secret")
    return DirectoryFolder(tmp_path / "root")


def test_reads_and_lists(folder: Folder) -> None:
    assert folder.names() == tuple(sorted(FILES))
    assert {name: folder.read(name, 10) for name in folder.names()} == FILES


@pytest.mark.parametrize("name", ["", "nope", "sub", "../outside", "/etc/passwd", "sub/../../outside", "a.yaml/x", "a\0b"])
def test_nothing_is_there(folder: Folder, name: str) -> None:
    assert folder.read(name, 10) is None


def test_limit(folder: Folder) -> None:
    assert folder.read("sub/deep/c", 3) == b"ccc"
    with pytest.raises(FormatError) as caught:
        folder.read("sub/deep/c", 2)
    assert caught.value.reason == "file-too-large"


def test_links_may_stay_inside_and_not_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "real").write_bytes(b"x")
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"secret")
    (root / "inner").symlink_to("real")
    (root / "out").symlink_to("../outside")
    (root / "absolute").symlink_to(tmp_path / "outside")
    (root / "dir").symlink_to(tmp_path / "other")
    (root / "loop").symlink_to("loop")
    folder = DirectoryFolder(PurePath(root))
    assert folder.read("inner", 10) == b"x"
    assert [folder.read(name, 10) for name in ("out", "absolute", "dir/file", "loop")] == [None] * 4
    assert DirectoryFolder(tmp_path / "absent").names() == ()


def test_names_may_be_those_near_the_root_only(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("x", "a/y", "a/b/z"):
        (tmp_path / name).write_text("")
    assert DirectoryFolder(tmp_path, 1).names() == ("x",)
    assert DirectoryFolder(tmp_path, 2).names() == ("a/y", "x")
    assert DirectoryFolder(tmp_path).names() == ("a/b/z", "a/y", "x")
