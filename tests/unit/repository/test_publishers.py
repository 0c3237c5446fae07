"""A small run of `python -m tests.publishers`, in one process."""

from __future__ import annotations

from pathlib import Path

from tests.publishers import Task, run


def test_of_many_publishers_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    assert run(Task(tmp_path, 100, 20, 1, durable=False)) == []
