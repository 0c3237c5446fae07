"""Builds that are killed: a few rounds of `tests.package_kill_points`, and what becomes of the processes of a step."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.clients import client
from tests.kill_points import rounds
from tests.package_kill_points import BUILD, SCENARIOS, workspace

if os.uname().machine != "x86_64":
    pytest.skip("the shell of the root is for x86-64", allow_module_level=True)

FOREVER = """package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}}
pipeline: [{runs: "(sleep MARKER; :) & sleep MARKER"}]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    client("bwrap")
    for place in (tmp_path, tmp_path.parent):
        place.chmod(0o755)
    return workspace(tmp_path / "home")


def test_a_killed_build_leaves_nothing_half_written_and_the_next_one_finishes(home: Path) -> None:
    found = list(rounds(home, 2, seed=11, scenarios=SCENARIOS))
    assert [item for item in found if item.fault] == []
    assert any(item.killed for item in found)


def test_the_processes_of_a_step_end_with_the_command(home: Path) -> None:
    seconds = str(1_000_000 + os.getpid())
    (home / "demo.yaml").write_text(FOREVER.replace("MARKER", seconds))
    command = [sys.executable, "-m", "apkiln.cli.main", *BUILD, "-q", "--cache-dir", str(home / "cache")]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        _until(lambda: len(_sleeping(seconds)) >= 2, "both processes of the step run")
    finally:
        process.kill()
        process.wait()
    _until(lambda: not _sleeping(seconds), "the processes of the step are gone")


def _until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.05)


def _sleeping(seconds: str) -> list[str]:
    """Numbers of the processes `sleep SECONDS`."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                found += [process.name] if (process / "cmdline").read_bytes().split(b"\0")[:2][-1] == seconds.encode() else []
    return found
