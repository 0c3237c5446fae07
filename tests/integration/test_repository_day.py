"""The demo of the repository service, as `make demo-repo` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_day_ends_well_and_leaves_other_directories_alone(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/demo_repo.py", str(tmp_path / "day")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Everything was as it should be: 18 pages" in told.stdout
    for word in ("half", "withdrawn", "restoring", "rotated", "goes back", "loses a file"):
        assert word in told.stdout
    (tmp_path / "own").mkdir()
    (tmp_path / "own/file").write_text("precious")
    refused = subprocess.run([*command[:2], str(tmp_path / "own")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and (tmp_path / "own/file").read_text() == "precious"
