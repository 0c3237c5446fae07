"""`system.own_code`: other code has another state."""

from __future__ import annotations

from pathlib import Path

import apkiln
from apkiln.system.own_code import code_state


def test_the_state_names_every_file_of_a_folder_and_no_other() -> None:
    root = Path(apkiln.__file__).parent
    named = {line.split(" ")[0] for line in code_state(["core", "formats"]).split("\n")}
    files = {path for folder in ("core", "formats") for path in (root / folder).rglob("*") if path.is_file()}
    assert named == {f"/{path.relative_to(root)}" for path in files if "__pycache__" not in path.parts}


def test_a_change_is_seen_and_nothing_else() -> None:
    assert code_state(["core"]) == code_state(["core"])
    assert code_state(["core"]) != code_state(["formats"])
    line = next(line for line in code_state(["core"]).split("\n") if line.startswith("/core/digest.py "))
    status = (Path(apkiln.__file__).parent / "core" / "digest.py").stat()
    assert line == f"/core/digest.py {status.st_size} {status.st_mtime_ns}"


def test_folders_that_are_in_no_files_have_no_state() -> None:
    assert code_state(["nowhere"]) == ""
