"""Domains: what is left of groups of variables of which at most one is true, and the trail of what took values away, and why.

The layers above this one are classes of the same object, each with its own state in slots, so that their loops read the state
of those below without a hop: domains, then `propagation`, `decisions`, `learning`, and `satisfiability` with the search.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from apkiln.solver.reasons import FACT, Allowed, Clause, Reason


class Domains:
    """Variables 1…n, and what is left of the domains that they are values of."""

    __slots__ = (
        "_after",
        "_before",
        "_borders",
        "_changed",
        "_domains",
        "_first",
        "_full",
        "_head",
        "_history",
        "_lasting",
        "_none",
        "_places",
        "_possible",
        "_reasons",
        "_true",
        "_true_borders",
        "_wiped",
    )

    def __init__(self) -> None:
        self._places: list[Allowed] = [(0, 0)]
        """Of each variable: its domain and bit."""
        # ---- of each domain
        self._domains: list[int] = []
        self._full: list[int] = []
        self._possible: list[int] = []
        """Without what can hold in no case."""
        self._none: list[int] = []
        self._first: list[int] = []
        """Its first variable."""
        self._history: list[list[int]] = []
        """Places on the trail where it changed, above level 0."""
        self._lasting: list[list[tuple[int, Reason]]] = []
        """Values lost for good, and why."""
        # ---- the trail: one entry per change of a domain
        self._changed: list[int] = []
        self._before: list[int] = []
        self._after: list[int] = []
        self._reasons: list[Reason | None] = []
        self._borders: list[int] = []
        self._true: list[int] = []
        self._true_borders: list[int] = []
        self._head = 0
        """Changes before this place are drawn upon."""
        self._wiped: int | None = None
        """A domain without values."""

    # ---- variables, literals

    def variable(self) -> int:
        """A new variable."""
        return self.group(1)[0]

    def group(self, count: int) -> Sequence[int]:
        """New variables of which at most one is true."""
        first, number = len(self._places), len(self._domains)
        self._places += [(number, 1 << bit) for bit in range(count)]
        self._domains.append((2 << count) - 1)
        self._full.append((2 << count) - 1)
        self._possible.append((2 << count) - 1)
        self._none.append(1 << count)
        self._first.append(first)
        self._history.append([])
        self._lasting.append([])
        return range(first, first + count)

    def domain_of(self, variable: int) -> int:
        """Number of the domain that a variable is a value of."""
        return self._places[variable][0]

    def full(self, domain: int) -> int:
        """All bits of a domain."""
        return self._full[domain]

    def without(self, variable: int) -> Allowed:
        """The negation of a variable, as a literal inside."""
        return self._literal(-variable)

    def clause(self, literals: Iterable[int]) -> Clause:
        """Literals as they are inside."""
        allowed: dict[int, int] = {}
        for literal in literals:
            number, bits = self._literal(literal)
            allowed[number] = allowed.get(number, 0) | bits
        return list(allowed.items())

    def _literal(self, literal: int) -> Allowed:
        number, bit = self._places[abs(literal)]
        return (number, bit) if literal > 0 else (number, self._full[number] ^ bit)

    # ---- what holds

    @property
    def level(self) -> int:
        """How many assumptions and decisions hold now."""
        return len(self._borders)

    @property
    def trail(self) -> Sequence[int]:
        """Variables that are true now, in the order in which they came to be."""
        return self._true

    def value(self, literal: int) -> int:
        """1 when the literal holds now, -1 when its negation does, 0 when it is open."""
        number, bits = self._literal(literal)
        domain = self._domains[number]
        left = domain & bits
        return -1 if not left else 1 if left == domain else 0

    def holds(self, variable: int) -> bool:
        """Value of a variable in the last model."""
        number, bit = self._places[variable]
        return self._domains[number] == bit

    # ---- what takes values away

    def _narrow(self, number: int, left: int, reason: Reason | None) -> bool:
        """Leave some values of a domain; False when none is left."""
        before = self._domains[number]
        if left == before:
            return True
        if self._borders:
            self._history[number].append(len(self._changed))
        self._domains[number] = left
        self._changed.append(number)
        self._before.append(before)
        self._after.append(left)
        self._reasons.append(reason)
        if not left & (left - 1):
            if not left:
                self._wiped = number
                return False
            if left != self._none[number]:
                self._true.append(self._first[number] + left.bit_length() - 1)
        return True

    def _rule_out(self, number: int, values: int, reason: Clause) -> bool:
        """Take values from a domain for good."""
        self._lasting[number].append((values & self._possible[number], reason))
        self._possible[number] &= ~values
        return self._narrow(number, self._domains[number] & ~values, FACT)

    def _settle(self) -> None:
        """What holds without assumptions needs no trail."""
        for number, before, after, reason in zip(self._changed, self._before, self._after, self._reasons, strict=True):
            self._possible[number] = self._domains[number]
            if reason is not FACT and reason is not None:
                self._lasting[number].append((before & ~after, reason))
        self._changed.clear()
        self._before.clear()
        self._after.clear()
        self._reasons.clear()
        self._head = 0

    def _open_level(self) -> None:
        self._borders.append(len(self._changed))
        self._true_borders.append(len(self._true))

    # ---- when it did

    def _since(self, literal: Allowed) -> int:
        """Place on the trail at which a literal was refuted; -1 = it never could hold."""
        number, bits = literal
        for place in reversed(self._history[number]):
            if self._before[place] & bits:
                return place
        return -1

    def _level_of(self, place: int) -> int:
        return bisect_right(self._borders, place)
