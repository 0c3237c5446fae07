"""The product's command line, run inside this process in a given directory."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """One error of the JSON form."""

    reason: str
    kind: str
    message: str
    source: str
    member: str
    package: str


class Answer(NamedTuple):
    """What a command said."""

    code: int
    output: str
    errors: str
    faults: tuple[Fault, ...] = ()
    """Of a failure that was asked for as JSON."""

    @property
    def first_error(self) -> str:
        """The line that tells of the fault."""
        lines = self.errors.splitlines()
        return next((line for line in lines if line.startswith("error:")), lines[0] if lines else "")


def run_judged(words: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Answer:
    """`run_command`; a failure is asked for once more, for its reasons."""
    answer = run_command(words, directory, environment)
    if not answer.code:
        return answer
    again = run_command([*words, "--json"], directory, environment)
    text = again.errors[again.errors.find("{") :]
    try:
        value = json.loads(text)["error"]
    except (ValueError, KeyError):
        return answer
    return answer._replace(faults=tuple(_fault(row) for row in value.get("faults") or [value]))


def _fault(row: Mapping[str, Any]) -> Fault:
    origin = row.get("origin", {})
    places = [str(origin.get(key, "")) for key in ("source", "member", "package")]
    return Fault(row["reason"], row.get("kind", ""), row["message"], *places)


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
