"""The tree of a YAML document: text and places, no types guessed."""

from __future__ import annotations

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""Plain texts that mean "not set"."""


class Scalar(NamedTuple):
    """One scalar with its source text (escapes of quoted forms resolved, nothing else)."""

    text: str
    plain: bool
    """Written without quotes and not as a block: only then may it be a number, a truth value or null."""
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    width: int = 1
    """Characters on the first line, for a marker under it; at least 1."""

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in NULLS


class Sequence(NamedTuple):
    items: tuple[Node, ...]
    line: int
    column: int
    width: int = 1


class Mapping(NamedTuple):
    """Members in source order; keys are distinct scalars, merge keys (`<<`) are already resolved."""

    items: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int
    width: int = 1


Node: TypeAlias = "Scalar | Sequence | Mapping"
"""An aliased node occurs several times as the same object."""


class Document(NamedTuple):
    """A composed document together with what is needed to point into it."""

    source: str
    """File name or URL, as errors show it."""
    text: str
    root: Node

    def origin(self, node: Node) -> Origin:
        return Origin(self.source, node.line, node.column)
