"""A small complete solver: clauses over variables of which groups take one value, conflict-driven learning, assumptions,
failed-assumption cores.

Literals are non-zero integers, a negative one is the negation.  Variables made together (`group`) are alternatives: at most one
of them is true.  Inside, a group is one domain, a set of bits (its variables, and one bit for "none of them"); a literal is a
domain with the bits that it allows, so what is learned speaks of sets of alternatives and not of each by itself, and what all
remaining alternatives have in common is known before one is chosen.  Deterministic: no randomness, ties go to the lower number.

This module is the search, with restarts and the preferred way.  Below it, as layers of one object (see `domains`), are
`learning`, `decisions`, `propagation` and `domains`; `reasons` holds the clauses and tables that they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from apkiln.solver.learning import Learning
from apkiln.solver.reasons import Clause

PATIENCE = 50
"""Conflicts on the way of `choose` before it is found out whether that way can lead anywhere."""
RESTART = 50
"""Conflicts to the first restart, and by how many more the following ones come later."""


class ClauseSolver(Learning):
    """Clauses over variables 1…n; grows between questions, and by what `load` brings.

    With `choose`, it is asked for the next literal to try when all assumptions hold; None ends the search with a model in
    which every variable without a value is false.
    """

    __slots__ = (
        "_assumed",
        "_conflicts",
        "_floor",
        "_pause",
        "choose",
        "core",
    )

    def __init__(self, step_limit: int, load: Callable[[int], Iterable[Clause]] | None = None) -> None:
        """`load`: clauses about a domain (`domain_of`) that matter from the moment one of its variables must be true; those of
        two literals begin with the one on this domain."""
        super().__init__(step_limit, load)
        self.core: list[int] = []
        """After a `False` answer: assumptions that cannot hold together; empty when the clauses alone cannot."""
        self.choose: Callable[[], int | None] | None = None
        """Where it leads into many conflicts, the question whether there is a model at all behind what stood through them is
        answered without it first."""
        self._assumed: Sequence[int] = ()
        self._conflicts = 0
        """Since the way of deciding changed, or the last restart."""
        self._floor = 0
        """Level: led, the lowest since then; free, the one that is not revised."""
        self._pause = 0

    def add(self, literals: Iterable[int]) -> None:
        """A clause: at least one literal holds."""
        self.add_clause(self.clause(literals))

    def add_clause(self, clause: Clause) -> None:
        """A clause: at least one literal holds."""
        self._backtrack(0)
        self._take(clause)

    def solve(self, assumptions: Sequence[int] = ()) -> bool:
        """Whether all clauses and assumptions can hold together; the model stays readable until the next call.

        What follows from assumptions at the beginning that are those of the call before is not worked out again.
        """
        self._backtrack(self._shared(assumptions))
        self._assumed = tuple(assumptions)
        self.core = []
        self._turn(led=self.choose is not None)
        while not self._broken:
            if not self._propagate():
                if not self._learn():
                    return False
                self._after_conflict()
                continue
            if not self._assume(assumptions):
                return False
            if self._head == len(self._changed) and not self._decide():
                if self._led or self.choose is None:
                    return True
                self._turn(led=True)
        return False

    def _turn(self, *, led: bool) -> None:
        """Go on as `choose` wants it, or freely: by what conflicts were about lately, with restarts."""
        self._led = led
        self._conflicts = 0
        if led:
            self._floor = len(self._borders)
            return
        self._floor = max(self._floor, len(self._assumed)) if self.choose is not None else len(self._assumed)
        self._pause = RESTART
        self._backtrack(self._floor)
        self._order_anew()

    def _after_conflict(self) -> None:
        self._conflicts += 1
        level = len(self._borders)
        if self._led:
            self._floor = min(self._floor, level)
            if self._conflicts > PATIENCE:
                self._turn(led=False)
        elif self.choose is not None and level < self._floor:
            self._turn(led=True)
        elif self._conflicts > self._pause:
            self._conflicts = 0
            self._pause += RESTART
            self._backtrack(self._floor)

    def _shared(self, assumptions: Sequence[int]) -> int:
        level = 0
        for literal, before in zip(assumptions, self._assumed, strict=False):
            if literal != before or level == len(self._borders):
                break
            level += 1
        return level

    def _assume(self, assumptions: Sequence[int]) -> bool:
        """Take the next assumptions, up to one that says something new; False when one is refuted (`core` is set)."""
        while len(self._borders) < len(assumptions):
            literal = assumptions[len(self._borders)]
            number, bits = self._literal(literal)
            left = self._domains[number] & bits
            if not left:
                self.core = self._assumptions_behind(literal, assumptions)
                return False
            self._open_level()
            if left != self._domains[number]:
                self._narrow(number, left, None)
                break
        return True

    def _decide(self) -> bool:
        """Take the next decision; False when there is none left."""
        self._spend()
        if self._led and self.choose is not None:
            literal = self.choose()
            decision = self._literal(literal) if literal is not None else None
        else:
            decision = self._open_choice()
        if decision is not None:
            self._open_level()
            self._narrow(decision[0], self._domains[decision[0]] & decision[1], None)
        return decision is not None
