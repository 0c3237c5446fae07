"""Changing single scalars of a document's text; every other character stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern
from apkiln.formats.yamlnode.node import Document, Mapping, Node, Scalar, Sequence
from apkiln.formats.yamlnode.writer import write

_BREAK = pattern("\r\n|[\n\r\x85\u2028\u2029]")
_PROPERTIES = pattern(r"(?:[&!]\S*[ \t]+)*")


class Edit(NamedTuple):
    """A scalar and the text it is to have."""

    node: Scalar
    value: str
    quoted: bool = False
    """In double quotes, however it was written; otherwise in the quotes it has, if any."""


class Lines:
    """Offsets of the lines of a text, as YAML counts them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(found.end() for found in _BREAK.finditer(text))]

    def offset(self, node: Node) -> int:
        return self.starts[node.line - 1] + node.column - 1


def edited(document: Document, edits: Iterable[Edit]) -> str:
    """The document's text with scalars replaced.  Raises ConfigurationError `cannot-edit` for a scalar of several lines."""
    lines = Lines(document.text)
    spliced = document.text
    spans = {span(document, lines, edit.node): edit for edit in edits}
    for (start, end), edit in sorted(spans.items(), reverse=True):
        spliced = spliced[:start] + _written(document.text[start:end], edit) + spliced[end:]
    return spliced


def span(document: Document, lines: Lines, node: Scalar) -> tuple[int, int]:
    """Where the scalar stands, with its quotes, without anchor and tag."""
    begin = lines.offset(node)
    end = begin + node.width
    properties = _PROPERTIES.match(document.text, begin, end)
    start = properties.end() if properties else begin
    shown = document.text[start:end]
    quote = shown[:1] if shown[:1] in ('"', "'") else ""
    whole = len(shown) > 1 and shown.endswith(quote) if quote else shown == node.text
    if not whole:
        raise ConfigurationError(
            "this value cannot be replaced: it is empty or has several lines",
            reason="cannot-edit",
            origin=document.origin(node),
            hint="write it on one line",
        )
    return start, end


def find(node: Node, *path: str | int) -> Node | None:
    """The node at keys and list positions; None where there is none."""
    for part in path:
        if isinstance(part, str) and isinstance(node, Mapping):
            found = next((value for key, value in node.items if key.text == part), None)
        elif isinstance(part, int) and isinstance(node, Sequence):
            found = node.items[part] if part < len(node.items) else None
        else:
            return None
        if found is None:
            return None
        node = found
    return node


def block_items(document: Document, listed: Sequence) -> list[tuple[int, int]]:
    """Line numbers, from 0, of the first line and of the line behind of each item of a list; comments and blank lines behind the
    last one belong to what follows.

    Raises ConfigurationError `cannot-edit` where the list is not written with one `-` line for each item.
    """
    lines = document.text.splitlines(keepends=True)
    starts = [item.line - 1 for item in listed.items]
    for start, item in zip(starts, listed.items, strict=True):
        if start >= len(lines) or lines[start][: item.column - 1].strip() != "-":
            message = "this list cannot be rewritten: it has not one `-` line for each item"
            raise ConfigurationError(message, reason="cannot-edit", origin=document.origin(listed))
    if not starts:
        return []
    column = listed.items[0].column - 1
    end = starts[-1] + 1
    for number in range(end, len(lines)):
        stripped = lines[number].strip()
        if stripped and len(lines[number]) - len(lines[number].lstrip(" ")) < column:
            break
        if stripped and not stripped.startswith("#"):
            end = number + 1
    return list(zip(starts, [*starts[1:], end], strict=True))


def _written(old: str, edit: Edit) -> str:
    if edit.quoted or old.startswith('"'):
        return '"' + edit.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if old.startswith("'"):
        return "'" + edit.value.replace("'", "''") + "'"
    return edit.value if re.fullmatch(r"[0-9a-fA-F]+", edit.value) else write({"": edit.value})[4:-1]
