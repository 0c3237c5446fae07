"""The real `melange` as a black box: a definition in, what its `compile` prints out; nothing is fetched, nothing is built."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

COMMIT = "c" * 40
FLAGS = ("--pipeline-dir", "pipelines", "--git-commit", COMMIT, "--git-repo-url", "https://example.org/a/b", "--namespace", "n")


class Compiled(NamedTuple):
    """An outcome of `compile`."""

    document: Any
    """None when it was refused."""
    message: str
    crashed: bool = False


class Melange:
    """One place for its files, used again for every case; keep it in memory (`/dev/shm`)."""

    def __init__(self, program: str, place: Path) -> None:
        self.program = program
        self._place = place

    @classmethod
    def on_path(cls, place: Path) -> Melange | None:
        """None when the program is not on PATH."""
        program = shutil.which("melange")
        return None if program is None else cls(program, place)

    def write(self, text: str, pipelines: Mapping[str, str]) -> None:
        """The definition and the pipelines beside it, in place of those before."""
        (self._place / "case.yaml").write_text(text)
        shutil.rmtree(self._place / "pipelines", ignore_errors=True)
        (self._place / "pipelines").mkdir()
        for name, content in pipelines.items():
            path = self._place / "pipelines" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def compile(self, arch: str, options: Sequence[str] = ()) -> Compiled:
        """What it says of what was written last."""
        chosen = [word for option in options for word in ("--build-option", option)]
        command = [self.program, "compile", "--arch", arch, *FLAGS, *chosen, "case.yaml"]
        done = subprocess.run(command, cwd=self._place, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0:
            return Compiled(json.loads(done.stdout), done.stderr)
        return Compiled(None, done.stderr, "goroutine " in done.stderr)
