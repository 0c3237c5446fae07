"""`etc/apk/world`: what the user asked for (spec apk.md §4)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.formats.apk.dependency import Dependency, parse_dependencies


def parse_world(content: bytes) -> tuple[Dependency, ...]:
    """The items in the order of the file, which separates them by any white space.

    All faults together, with line and column: FormatError with the reasons of `parse_dependencies`, and `world-not-utf8`.
    """
    place = Origin(member="world")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise FormatError("the file is not UTF-8", reason="world-not-utf8", origin=place) from None
    return parse_dependencies(text, origin=place)


def write_world(items: Iterable[Dependency]) -> bytes:
    """One item a line, each once, by name without regard to case, then bytewise; a final newline unless there are none."""
    unique = dict.fromkeys(items)
    ordered = sorted(unique, key=lambda item: (item.name.lower(), item.name, str(item)))
    return "".join([f"{item}\n" for item in ordered]).encode()
