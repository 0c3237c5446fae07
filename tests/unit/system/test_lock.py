from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from apkiln.system.lock import file_lock, is_locked

PROCESSES = multiprocessing.get_context("fork")


def _count_up(directory: Path, remove: bool) -> None:
    for _ in range(150):
        with file_lock(directory / "lock", remove=remove):
            number = int((directory / "number").read_text())
            (directory / "number").write_text(str(number + 1))


@pytest.mark.parametrize("remove", [True, False])
def test_no_two_processes_hold_it_also_when_its_file_goes_and_comes(tmp_path: Path, remove: bool) -> None:
    (tmp_path / "number").write_text("0")
    processes = [PROCESSES.Process(target=_count_up, args=(tmp_path, remove)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "number").read_text() == "600"
    assert (tmp_path / "lock").exists() is not remove


def test_whether_somebody_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with file_lock(path):
        assert is_locked(path)
    assert not is_locked(path)
    (tmp_path / "link").symlink_to(path)
    assert not is_locked(tmp_path / "link")
