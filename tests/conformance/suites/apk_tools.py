"""apk-tools: version vectors and solver cases; four scores per solver case: exit, set, order, text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scoring import FAILED, PASSED, Outcome, Suite

from apkiln.formats.apk.version import compare, is_prefix, is_valid


def recognise(folder: Path) -> bool:
    """Folder `apk-tools` with its README and either vectors or solver cases."""
    return folder.name == "apk-tools" and (folder / "README.md").exists()


def run_versions(folder: Path) -> Iterable[Outcome]:
    for path in sorted(folder.glob("version_*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line:
                yield Outcome(PASSED if _holds(line) else FAILED, path.name, f"line {number}", line)


def _holds(line: str) -> bool:
    words = line.split(" ")
    if len(words) == 1:
        return is_valid(line.removeprefix("!")) != line.startswith("!")
    a, operator, b = words
    marks = operator.removeprefix("!")
    true = "<=>"[compare(a, b) + 1] in marks or ("~" in marks and is_prefix(a, b))
    return true != operator.startswith("!")


SUITES = (Suite("apk-tools/versions", recognise, run_versions),)
