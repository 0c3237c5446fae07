"""Building and locking, killed at random moments: a few rounds of `tests.kill_points`."""

from __future__ import annotations

from pathlib import Path

from tests.kill_points import rounds, workspace


def test_a_killed_command_leaves_nothing_half_written_and_the_next_run_finishes(tmp_path: Path) -> None:
    found = list(rounds(workspace(tmp_path / "home"), 3, seed=7))
    assert [item for item in found if item.fault] == []
    assert any(item.killed for item in found)
