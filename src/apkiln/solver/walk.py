"""The order of decisions: what the world asks for, then breadth first along `D:` of what was chosen.

Asked by the clause solver for its next decision, and taken back with it: every step remembers the level it was made at.  For
worlds in which nothing has to be granted (`RuleBase.has_grants`): there, what nobody asks for can be left without a value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.dependency import Dependency
from apkiln.solver.clauses import RuleBase
from apkiln.solver.universe import Candidate

Rank = Callable[[Dependency, Sequence[Candidate]], Iterable[Candidate]]
"""Candidates for an item, the best first."""


class _Step(NamedTuple):
    """An item that was looked at, or a package found to be chosen (no item)."""

    level: int
    chosen: Candidate | None
    """None when something chosen before met the item."""
    queued: int
    """Length of the queue before."""
    from_queue: bool
    inherited: tuple[tuple[Candidate, int, int, int], ...]
    """Wishes and tags of candidates as they were."""


class Walk:
    """One way through the world; `next` is the `choose` of a clause solver."""

    def __init__(self, rules: RuleBase, rank: Rank, *, inherit: bool = False) -> None:
        """`inherit`: chosen packages hand their wishes and tags on to what they need, as the preference wants it."""
        self._rules = rules
        self._solver = rules.solver
        self._rank = rank
        self._inherits = inherit
        self._queue: list[tuple[Dependency, Candidate | None, int]] = [
            (item, None, switch) for item, switch in zip(rules.world, rules.switches, strict=True) if not item.conflict
        ]
        self._position = 0
        self._steps: list[_Step] = []
        self._seen = 0
        self.chosen: dict[Candidate, None] = {}
        """In order of choice."""

    def next(self) -> int | None:
        """The next decision; None when nothing is asked for any more."""
        self._take_back(self._solver.lowest_level)
        self._solver.lowest_level = sys.maxsize
        while True:
            while self._position < len(self._queue):
                decision = self._meet(*self._queue[self._position])
                if decision:
                    return decision
            if not self._find_others():
                return None

    def _meet(self, item: Dependency, owner: Candidate | None, switch: int) -> int:
        """Look at the next item; a literal when something must be decided for it."""
        self._position += 1
        if owner is None and self._solver.value(switch) <= 0:
            self._note(None, 0)
            return 0
        fitting = self._rules.fitting(item)
        before = self._inherit(fitting, owner) if self._inherits and owner is not None else ()
        if any(candidate in self.chosen for candidate in fitting):
            self._note(None, 0, before)
            return 0
        value, variables = self._solver.value, self._rules.variables
        holding = [candidate for candidate in fitting if value(variables[candidate]) > 0]
        possible = holding or [candidate for candidate in fitting if value(variables[candidate]) == 0]
        if not possible:  # the item does not bind
            self._note(None, 0, before)
            return 0
        best = next(iter(self._rank(item, possible)))
        self._note(best, 0 if holding else 1, before)
        return 0 if holding else variables[best]

    def _note(
        self, chosen: Candidate | None, deeper: int, before: tuple[tuple[Candidate, int, int, int], ...] = (), queue: bool = True
    ) -> None:
        self._steps.append(_Step(self._solver.level + deeper, chosen, len(self._queue), queue, before))
        if chosen is not None:
            self.chosen[chosen] = None
            if self._rules.binds(chosen):
                self._queue += [(need, chosen, 0) for need in chosen.depends if not need.conflict]

    def _inherit(self, fitting: Iterable[Candidate], owner: Candidate) -> tuple[tuple[Candidate, int, int, int], ...]:
        before = []
        for candidate in fitting:
            old = (candidate.wish, candidate.inherited_wish, candidate.allowed_tags)
            candidate.wish |= owner.inherited_wish
            candidate.inherited_wish |= owner.inherited_wish
            candidate.allowed_tags |= owner.allowed_tags
            if old != (candidate.wish, candidate.inherited_wish, candidate.allowed_tags):
                before.append((candidate, *old))
        return tuple(before)

    def _take_back(self, level: int) -> None:
        steps = self._steps
        while steps and steps[-1].level > level:
            step = steps.pop()
            for candidate, wish, inherited, tags in reversed(step.inherited):
                candidate.wish, candidate.inherited_wish, candidate.allowed_tags = wish, inherited, tags
            if step.chosen is not None:
                del self.chosen[step.chosen]
            del self._queue[step.queued :]
            self._position -= step.from_queue
        if level <= self._solver.level:
            self._seen = 0

    def _find_others(self) -> bool:
        """Packages that must be there although no item was met with them."""
        trail = self._solver.trail
        found = [
            self._rules.candidates[literal]
            for literal in trail[self._seen :]
            if literal > 0 and literal in self._rules.candidates and self._rules.candidates[literal] not in self.chosen
        ]
        self._seen = len(trail)
        for candidate in found:
            self._note(candidate, 0, queue=False)
        return bool(found)


def newest_first(item: Dependency, candidates: Sequence[Candidate]) -> Iterable[Candidate]:
    """A rank for questions in which only the verdict counts."""
    return reversed(candidates)
