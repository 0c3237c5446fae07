"""Real programs that tests use when they are there, and what they need to run on any machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def client(name: str) -> str:
    """Path of a program; skips the test, naming it, when it is not on PATH."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} not found: see docs/clients.md")
    return path


def call(command: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float = 120) -> str:
    """Standard output of a program that must end well; both streams are shown when it does not."""
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(environment or {})}, check=False
    )
    assert result.returncode == 0, f"{' '.join(command)}\nexit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def shell_files() -> dict[str, bytes]:
    """The machine's `/bin/sh` with the libraries it loads, by path in an image; skips where `ldd` is missing."""
    program = str(Path("/bin/sh").resolve())
    lines = call([client("ldd"), program]).split()
    libraries = [word for word in lines if word.startswith("/")]
    return {"bin/sh": Path(program).read_bytes()} | {name.lstrip("/"): Path(name).read_bytes() for name in libraries}
