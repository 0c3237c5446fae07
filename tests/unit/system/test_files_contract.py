"""One suite for files on disk and in memory."""

from __future__ import annotations

from pathlib import Path, PurePath, PurePosixPath

import pytest

from apkiln.core.errors import ApkilnError, ConflictError, FormatError, UnavailableError
from apkiln.system.files import DiskFiles, Files
from apkiln.system.memory_files import Crash, InterruptedFiles, MemoryFiles


@pytest.fixture(params=["disk", "durable disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Files, PurePath]:
    if request.param == "memory":
        files = MemoryFiles()
        files.make_directory(PurePosixPath("/home"))
        return files, PurePosixPath("/home")
    return DiskFiles(durable=request.param == "durable disk"), tmp_path


def put(files: Files, path: PurePath, data: bytes, *, replace: bool = False) -> None:
    with files.create(path, replace=replace) as stream:
        stream.write(data)


def test_a_file_is_what_was_written(place: tuple[Files, PurePath]) -> None:
    files, home = place
    put(files, home / "a", b"content")
    assert files.read(home / "a", 7) == b"content"
    with files.open(home / "a") as stream:
        assert stream.read() == b"content"
    status = files.status(home / "a")
    assert status is not None
    assert (status.is_file, status.is_directory, status.size) == (True, False, 7)


def test_a_file_over_the_limit_is_refused(place: tuple[Files, PurePath]) -> None:
    files, home = place
    put(files, home / "a", b"content")
    with pytest.raises(FormatError) as caught:
        files.read(home / "a", 6)
    assert caught.value.reason == "file-too-large"


def test_missing_files_and_directories_are_told_apart(place: tuple[Files, PurePath]) -> None:
    files, home = place
    for path, reason in ((home / "absent", "missing-file"), (home, "is-directory")):
        with pytest.raises(UnavailableError) as caught:
            files.read(path, 10)
        assert caught.value.reason == reason
    with pytest.raises(UnavailableError):
        files.list(home / "absent")
    with pytest.raises(UnavailableError) as caught, files.create(home / "absent" / "file"):
        pass
    assert caught.value.reason == "missing-file"
    assert files.status(home / "absent") is None


def test_an_existing_output_is_refused_and_kept(place: tuple[Files, PurePath]) -> None:
    files, home = place
    put(files, home / "a", b"old")
    with pytest.raises(ConflictError) as caught:
        put(files, home / "a", b"new")
    assert caught.value.reason == "output-exists"
    assert files.read(home / "a", 10) == b"old"
    put(files, home / "a", b"new", replace=True)
    assert files.read(home / "a", 10) == b"new"


def test_an_output_that_appears_meanwhile_is_not_overwritten(place: tuple[Files, PurePath]) -> None:
    files, home = place
    with pytest.raises(ConflictError), files.create(home / "a") as stream:
        stream.write(b"slow")
        put(files, home / "a", b"quick")
    assert files.read(home / "a", 10) == b"quick"
    with pytest.raises(ConflictError), files.tree(home / "tree") as tree:
        tree.write("x", b"slow")
        files.make_directory(home / "tree")
    assert files.list(home / "tree") == ()


def test_an_interrupted_output_leaves_nothing(place: tuple[Files, PurePath]) -> None:
    files, home = place
    with pytest.raises(KeyboardInterrupt), files.create(home / "a") as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), files.tree(home / "tree") as tree:
        tree.write("deep/down/file", b"whole")
        assert files.list(home) == ()
        raise KeyboardInterrupt
    assert files.list(home) == ()


def test_a_tree_appears_whole(place: tuple[Files, PurePath]) -> None:
    files, home = place
    with files.tree(home / "tree") as tree:
        tree.write("b/c/file", b"one")
        tree.directory("b/empty")
        with tree.create("top") as stream:
            stream.write(b"two")
        assert files.status(home / "tree") is None
    assert files.list(home) == ("tree",)
    assert files.list(home / "tree") == ("b", "top")
    assert files.list(home / "tree" / "b") == ("c", "empty")
    assert files.read(home / "tree" / "b" / "c" / "file", 10) == b"one"
    with pytest.raises(ConflictError), files.tree(home / "tree"):
        pass


def test_a_tree_takes_the_place_of_an_empty_directory_only_when_asked(place: tuple[Files, PurePath]) -> None:
    files, home = place
    files.make_directory(home / "tree")
    with pytest.raises(ConflictError), files.tree(home / "tree"):
        pass
    with files.tree(home / "tree", replace_empty=True) as tree:
        tree.write("a", b"one")
    assert files.read(home / "tree" / "a", 10) == b"one"
    with pytest.raises(ConflictError), files.tree(home / "tree", replace_empty=True):
        pass
    put(files, home / "file", b"")
    with pytest.raises(ConflictError), files.tree(home / "file", replace_empty=True):
        pass


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../outside"])
def test_a_tree_holds_no_path_outside(place: tuple[Files, PurePath], path: str) -> None:
    files, home = place
    with pytest.raises(AssertionError), files.tree(home / "tree") as tree:
        tree.write(path, b"")
    assert files.list(home) == ()


def test_remove_and_list(place: tuple[Files, PurePath]) -> None:
    files, home = place
    for name in ("b", "a", "é", "B"):
        put(files, home / name, b"")
    assert files.list(home) == ("B", "a", "b", "é")
    files.remove(home / "b")
    files.remove(home / "b")
    assert files.list(home) == ("B", "a", "é")


def test_the_lock_can_be_taken_again_and_again(place: tuple[Files, PurePath]) -> None:
    files, home = place
    for _ in range(3):
        with files.lock(home / ".lock"):
            pass


@pytest.mark.parametrize("step", range(4))
def test_interruption_before_each_step_publishes_only_complete_files(place: tuple[Files, PurePath], step: int) -> None:
    files, home = place
    interrupted = InterruptedFiles(files, step)
    with pytest.raises(Crash):
        for name in ("a", "b"):
            with interrupted.create(home / name) as stream:
                stream.write(b"first ")
                stream.write(b"second")
    published = files.list(home)
    assert published == (("a",) if step >= 3 else ())
    assert all(files.read(home / name, 100) == b"first second" for name in published)


def test_the_error_of_the_interruption_can_be_chosen(place: tuple[Files, PurePath]) -> None:
    files, home = place
    interrupted = InterruptedFiles(files, 0, lambda: UnavailableError("gone", reason="chosen"))
    with pytest.raises(ApkilnError) as caught:
        interrupted.make_directory(home / "new")
    assert caught.value.reason == "chosen"


def write_beside(files: Files, name: PurePath, data: bytes) -> None:
    """As a program would, which knows nothing of us."""
    if isinstance(files, MemoryFiles):
        files.put(str(name), data)
    else:
        Path(name).write_bytes(data)


def test_what_a_program_produces_appears_when_it_is_done(place: tuple[Files, PurePath]) -> None:
    files, home = place
    with files.produced(home / "a") as name:
        write_beside(files, name, b"content")
        assert files.status(home / "a") is None
        assert "a" not in files.list(home)
    assert files.read(home / "a", 10) == b"content"
    assert files.list(home) == ("a",)
    with pytest.raises(ConflictError), files.produced(home / "a"):
        pass


def test_what_a_failing_program_leaves_goes(place: tuple[Files, PurePath]) -> None:
    files, home = place
    with pytest.raises(RuntimeError), files.produced(home / "a") as name:
        write_beside(files, name, b"half")
        raise RuntimeError
    assert files.status(home / "a") is None
    assert files.list(home) == ()


def test_a_program_that_wrote_nothing_is_told(place: tuple[Files, PurePath]) -> None:
    files, home = place
    with pytest.raises(UnavailableError) as caught, files.produced(home / "a"):
        pass
    assert caught.value.reason == "missing-file"
