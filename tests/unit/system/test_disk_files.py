"""What only real files can show: modes, symbolic links, killed writers, processes that wait."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from apkiln.core.errors import ApkilnError, ConflictError
from apkiln.system.faults import faults_named
from apkiln.system.files import DiskFiles

PROCESSES = multiprocessing.get_context("fork")


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with DiskFiles().create(tmp_path / "public") as stream:
            stream.write(b"x")
        with DiskFiles().create(tmp_path / "private", 0o600) as stream:
            stream.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConflictError), DiskFiles().create(tmp_path / "link") as stream:
        stream.write(b"x")
    assert not (tmp_path / "nowhere").exists()


def test_replacing_through_a_link_replaces_the_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with DiskFiles().create(tmp_path / "link", replace=True) as stream:
        stream.write(b"new")
    assert (tmp_path / "target").read_bytes() == b"kept"
    assert not (tmp_path / "link").is_symlink()


def _die(directory: Path, kind: str) -> None:
    files = DiskFiles()
    if kind == "file":
        with files.create(directory / "output") as stream:
            stream.write(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    with files.tree(directory / "output") as tree:
        tree.write("a/b", b"whole")
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path: Path, kind: str) -> None:
    process = PROCESSES.Process(target=_die, args=(tmp_path, kind))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert DiskFiles().list(tmp_path) == ()
    assert len(list(tmp_path.iterdir())) == 1
    with DiskFiles().create(tmp_path / "output") as stream:
        stream.write(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_a_running_writer_is_not_swept(tmp_path: Path) -> None:
    with DiskFiles().create(tmp_path / "output") as slow:
        slow.write(b"slow")
        with DiskFiles().create(tmp_path / "output", replace=True) as quick:
            quick.write(b"quick")
        assert len(list(tmp_path.iterdir())) == 2
        (tmp_path / "output").unlink()
    assert (tmp_path / "output").read_bytes() == b"slow"


def test_a_full_device_is_named(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(ApkilnError) as caught, faults_named("/dev/full", "write"):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)
    assert (caught.value.reason, caught.value.origin.source) == ("no-space", "/dev/full")


def _count_up(directory: Path) -> None:
    files = DiskFiles(durable=False)
    for _ in range(25):
        with files.lock(directory / ".lock"):
            number = int(files.read(directory / "number", 20))
            with files.create(directory / "number", replace=True) as stream:
                stream.write(b"%d" % (number + 1))


def test_the_lock_keeps_processes_apart(tmp_path: Path) -> None:
    (tmp_path / "number").write_bytes(b"0")
    processes = [PROCESSES.Process(target=_count_up, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "number").read_bytes() == b"100"


def _create_many(directory: Path, number: int) -> None:
    for step in range(60):
        files = DiskFiles(durable=False)  # a new one each time, so that it sweeps each time
        with files.create(directory / f"{number}-{step}") as stream:
            stream.write(b"x")
        with files.tree(directory / f"tree-{number}-{step}") as tree:
            tree.write("x", b"x")


def test_writers_and_sweepers_do_not_disturb_each_other(tmp_path: Path) -> None:
    processes = [PROCESSES.Process(target=_create_many, args=(tmp_path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(list(tmp_path.iterdir())) == 4 * 60 * 2
