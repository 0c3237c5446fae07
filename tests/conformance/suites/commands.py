"""The product's command line, run inside this process in a given directory."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Answer(NamedTuple):
    """What a command said."""

    code: int
    output: str
    errors: str

    @property
    def first_error(self) -> str:
        """The line that tells of the fault."""
        lines = self.errors.splitlines()
        return next((line for line in lines if line.startswith("error:")), lines[0] if lines else "")


def run_command(words: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Answer:
    """Run `apkiln WORDS…`.  Environment variables are set for its time only."""
    from apkiln.cli.dispatch import dispatch

    before = dict(os.environ)
    output, errors = io.StringIO(), io.StringIO()
    os.environ.update(environment)
    try:
        with contextlib.chdir(directory), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = dispatch(list(words))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Answer(code, output.getvalue(), errors.getvalue())
