"""Plain values to YAML text that every reader takes the same way: texts that look like something else are quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from apkiln.core.pattern import pattern

_INDENT = 4
_OTHER_TYPES = pattern(
    r"""~ | null | Null | NULL | << | =
    | y | Y | yes | Yes | YES | n | N | no | No | NO | true | True | TRUE | false | False | FALSE | on | On | ON | off | Off | OFF
    | [-+]?[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?([eE][-+]?[0-9]+)?
    | [-+]?\.[0-9_]+([eE][-+]?[0-9]+)?
    | [-+]?0[xX][0-9a-fA-F_]+ | [-+]?0[oO][0-7_]+ | [-+]?0[bB][01_]+
    | [-+]?\.(inf|Inf|INF) | \.(nan|NaN|NAN)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*""",
    re.VERBOSE,
)
_PLAIN = pattern(r"(?![-?:](\s|$))(?![,\[\]{}#&*!|>'\"%@`\s])(?!(---|\.\.\.)(\s|$))(?:(?!:(\s|$)|\s\#)[^\n])*(?<!\s)")
_ESCAPES = {"\0": "\\0", "\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r", "\x1b": "\\e"}
_ESCAPES |= {'"': '\\"', "\\": "\\\\", "\x85": "\\N", "\xa0": "\\_", "\u2028": "\\L", "\u2029": "\\P"}


def write(value: Mapping[str, Any]) -> str:
    """A mapping of texts, whole numbers, truth values, lists and mappings as YAML; keys in the order given, indent 4.

    Lists are indented below their key, texts of several lines are literal blocks: the form the Go tools of the field print.
    """
    return "".join(line + "\n" for line in _mapping(value, "")) if value else "{}\n"


def _mapping(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, member in value.items():
        yield from _entry(indent + _scalar(key) + ":", member, _deeper(indent))


def _entry(start: str, value: Any, indent: str) -> Iterator[str]:
    """`start` with the value behind it, or below it at `indent`."""
    if isinstance(value, Mapping) and value:
        yield start
        yield from _mapping(value, indent)
    elif isinstance(value, list | tuple) and value:
        yield start
        for item in value:
            yield from _item(item, indent)
    elif isinstance(value, str) and _is_block(value):
        yield f"{start} |{_chomping(value)}"
        body = value[:-1] if value.endswith("\n") else value
        yield from (indent + line if line else "" for line in body.split("\n"))
    else:
        yield f"{start} {_scalar(value)}"


def _item(value: Any, indent: str) -> Iterator[str]:
    """`- ` with the value behind it; a mapping or list begins on the same line."""
    if isinstance(value, Mapping | list | tuple) and value:
        inner = indent + "  "
        lines = _mapping(value, inner) if isinstance(value, Mapping) else (line for item in value for line in _item(item, inner))
        first = next(lines)
        yield indent + "- " + first[len(inner) :]
        yield from lines
    else:
        yield from _entry(indent + "-", value, _deeper(indent))


def _deeper(indent: str) -> str:
    """The next multiple of the indent, which inside a list item is two columns away."""
    return " " * ((len(indent) // _INDENT + 1) * _INDENT)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    return "{}" if isinstance(value, Mapping) else "[]"


def _text(text: str) -> str:
    if not all(char.isprintable() for char in text) or _OTHER_TYPES.fullmatch(text) or not text:
        return '"' + "".join(_escaped(char) for char in text) + '"'
    if _PLAIN.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_block(text: str) -> bool:
    """Whether a literal block gives the text back: several lines, printable, no leading blank, no line of blanks only."""
    lines = text.split("\n")
    body = lines[:-1] if lines[-1] == "" else lines
    clean = all(all(char.isprintable() for char in line) and line == line.rstrip(" ") for line in body)
    return "\n" in text and clean and bool(body and body[0]) and body[-1] != "" and not body[0].startswith(" ")


def _chomping(text: str) -> str:
    return "" if text.endswith("\n") else "-"
