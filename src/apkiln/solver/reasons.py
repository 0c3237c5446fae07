"""Clauses and tables over domains: what takes values from a domain, and what that says about others.

A domain is a set of bits, of which one is taken.  A literal is a domain with the bits that it allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apkiln.core.named_tuple import NamedTuple

Allowed = tuple[int, int]
"""A literal: a domain, and the bits of which one must be there."""
Clause = list[Allowed]
"""At least one holds.  Each domain at most once; the first two are watched."""


class Table:
    """What each value of one domain leaves to another one."""

    __slots__ = ("backward", "entries", "forward", "free", "source", "target")

    def __init__(self, source: int, target: int, free: int, entries: list[tuple[int, int]]) -> None:
        self.source = source
        self.target = target
        self.free = free
        """Values that leave everything."""
        self.entries = entries
        """Values and what they leave; the values of no two entries overlap."""
        self.forward = (self, True)
        self.backward = (self, False)


Reason = Clause | tuple[Table, bool]
"""What takes values from a domain: a clause, or a table towards its target (True) or its source."""
FACT: Clause = []
"""Reason of what holds always."""


class Use(NamedTuple):
    """A step of a proof."""

    number: int
    lost: int
    """Values that a domain loses."""
    reason: Reason


class Learned(list[Allowed]):
    """A clause that follows from others."""

    __slots__ = ("uses",)

    def __init__(self, literals: Iterable[Allowed], uses: Sequence[Use]) -> None:
        super().__init__(literals)
        self.uses = uses


def causes(number: int, lost: int, reason: Reason) -> Clause:
    """Domains, and what they must have lost for a domain to lose some values."""
    if isinstance(reason, list):
        return [literal for literal in reason if literal[0] != number]
    table, forward = reason
    values = 0
    if forward:
        values = table.free
        for source_values, allowed in table.entries:
            if allowed & lost:
                values |= source_values
        return [(table.source, values)]
    for source_values, allowed in table.entries:
        if source_values & lost:
            values |= allowed
    return [(table.target, values)]
