"""Every match replaced, with Go's templates (spec package.md §4.4)."""

from __future__ import annotations

import re

from apkiln.formats.re2.matching import Expression, Match

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


def replace_all(expression: Expression, template: str, text: str) -> str:
    """`text` with every match replaced by the expanded `template`; an empty match right behind a match does not count."""
    parts: list[str] = []
    position, copied, last_end = 0, 0, -1
    while position <= len(text):
        found = expression.search(text, position)
        if found is None:
            break
        if found.end > found.start or found.start != last_end:
            parts += [text[copied : found.start], expand(expression, template, found)]
            copied = last_end = found.end
        position = found.end if found.end > found.start else found.end + 1
    return "".join(parts) + text[copied:]


def expand(expression: Expression, template: str, match: Match) -> str:
    """`$1`, `${1}`, `$name`, `${name}` become groups, unknown ones nothing, `$$` a dollar; an unbraced name is as long as it
    can be, so that `$1_x` asks for the group `1_x`; any other dollar stays."""

    def one(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        number = int(name) if name.isdecimal() and len(name) < 6 else expression.names.get(name, -1)
        return match.group(number)

    return _REFERENCE.sub(one, template)
