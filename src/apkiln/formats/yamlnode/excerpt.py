"""The line of a document that a fault is about, with a marker below: for terminals, without colours."""

from __future__ import annotations

import re

from apkiln.core.pattern import pattern

_USER_PART = pattern(r"(?<=://)[^/@\s]+(?=@)")
_LONGEST = 160
"""Characters of a line that are shown."""


def excerpt(text: str, line: int, column: int, width: int = 1) -> tuple[str, ...]:
    """Two lines, `  7 | cmd: b` and the marker `    | ^^^`; empty when `text` has no such line.

    `line` and `column` count from 1.  Long lines are cut around the column; tabs become spaces; passwords in URLs stars.
    """
    found = _line(text, line)
    if found is None or line < 1 or column < 1:
        return ()
    shown = without_passwords(found).replace("\t", " ")
    start = 0 if column <= _LONGEST - 20 else column - _LONGEST // 2
    shown = "".join(char if char.isprintable() else "?" for char in shown[start : start + _LONGEST])
    margin = f"{line:>4} | "
    marker = "^" * max(1, min(width, len(shown) - (column - 1 - start)))
    return margin + shown, " " * (len(margin) - 2) + "| " + " " * (column - 1 - start) + marker


def without_passwords(text: str) -> str:
    """`text` with the user part of every URL replaced by as many stars."""
    return _USER_PART.sub(lambda match: "*" * len(match.group()), text)


def _line(text: str, number: int) -> str | None:
    """Line `number` as YAML counts lines (`\\n`, `\\r\\n`, `\\r`, NEL, LS, PS)."""
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
    return lines[number - 1] if 0 < number <= len(lines) else None
