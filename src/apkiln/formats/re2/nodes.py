"""The tree of a regular expression."""

from __future__ import annotations

from typing import TypeAlias

from apkiln.core.named_tuple import NamedTuple

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points as inclusive ranges."""


class Characters(NamedTuple):
    """One character out of a set."""

    ranges: Ranges
    negated: bool = False

    def contains(self, code: int) -> bool:
        return any(low <= code <= high for low, high in self.ranges) != self.negated


class Assertion(NamedTuple):
    """A place: `begin` and `end` of text, `line-begin` and `line-end`, `word` border or `no-word` border."""

    kind: str


class Group(NamedTuple):
    """A group that is remembered by `number`, from 1."""

    number: int
    body: Node


class Repetition(NamedTuple):
    """`body` from `least` to `most` times; most -1 = without end."""

    body: Node
    least: int
    most: int
    greedy: bool


class Sequence(NamedTuple):
    items: tuple[Node, ...]


class Alternatives(NamedTuple):
    """Tried in order."""

    items: tuple[Node, ...]


Node: TypeAlias = "Characters | Assertion | Group | Repetition | Sequence | Alternatives"
