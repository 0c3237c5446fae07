"""A definition's `copyright` made to agree with what was found; every other line stays (spec package.md §15.6)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.editing import block_items, find
from apkiln.formats.yamlnode.node import Document, Mapping, Scalar, Sequence
from apkiln.formats.yamlnode.writer import write
from apkiln.package.licences.comparing import Comparison, declared_names, short_name

FLAT, SIMPLE = "flat", "simple"


def fixed(content: bytes, source: str, comparison: Comparison, *, form: str = FLAT) -> bytes:
    """The text without licences that no file has and with those that files have.

    `flat`: one entry each; entries that stay keep their text.  `simple`: one entry with an expression that joins all by `AND`.
    Raises ConfigurationError `cannot-edit` where `copyright` is absent or not written as a block.
    """
    document = compose(content, source, FaultCollector.empty())
    listed = find(document.root, "package", "copyright")
    if not isinstance(listed, Sequence) or not listed.items or not all(isinstance(item, Mapping) for item in listed.items):
        raise _cannot(document, listed if isinstance(listed, Sequence) else None)
    lines = document.text.splitlines(keepends=True)
    spans = block_items(document, listed)
    gone = {item.licence for item in comparison.differences if item.kind == "not-found"}
    new = [(item.licence, item.path) for item in comparison.differences if item.kind == "not-declared"]
    kept = [span for span, item in zip(spans, listed.items, strict=True) if not _is_gone(item, gone)]
    if not kept and not new:
        return content
    indent = lines[spans[0][0]][: listed.items[0].column - 1].rstrip("- ") or " " * (listed.column - 1)
    if form == SIMPLE:
        names = [
            name for item in listed.items if isinstance(item, Mapping) for name in _names(item) if short_name(name) not in gone
        ]
        text = _entry(indent, " AND ".join(dict.fromkeys((*names, *(name for name, _ in new)))), "")
    else:
        text = "".join(line for start, end in kept for line in lines[start:end])
        text += "".join(_entry(indent, name, path) for name, path in new)
    return "".join((*lines[: spans[0][0]], text, *lines[spans[-1][1] :])).encode()


def _is_gone(item: object, gone: Iterable[str]) -> bool:
    names = _names(item) if isinstance(item, Mapping) else ()
    return bool(names) and all(short_name(name) in set(gone) for name in names)


def _names(item: Mapping) -> tuple[str, ...]:
    node = find(item, "license")
    return declared_names(node.text) if isinstance(node, Scalar) else ()


def _entry(indent: str, licence: str, path: str) -> str:
    known = {"license": licence} | ({"license-path": path} if path else {})
    first, *others = write(known).splitlines()
    return f"{indent}- {first}\n" + "".join(f"{indent}  {line}\n" for line in others)


def _cannot(document: Document, node: Sequence | None) -> ConfigurationError:
    origin = document.origin(node) if node is not None else document.origin(document.root)
    message = "`copyright` cannot be rewritten: it is no list with one `-` line for each entry"
    return ConfigurationError(message, reason="cannot-edit", origin=origin)
