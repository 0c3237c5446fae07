"""A small complete solver for propositional clauses: conflict-driven learning, assumptions, failed-assumption cores.

Literals are non-zero integers, a negative one is the negation.  Deterministic: no randomness, ties go to the lower variable.
Used where the fast path ends (spec apk.md §10.6): it answers whether a partial choice can be completed, never which
completion is best.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush


class StepLimitReached(Exception):
    """The budget of conflicts is spent; the question stays open."""


class ClauseSolver:
    """Clauses over variables 1…n; grows between questions, and by what `load` brings.

    With `choose`, it is asked for the next literal to try when all assumptions hold; None ends the search with a model in
    which every variable without a value is false.
    """

    def __init__(self, step_limit: int, load: Callable[[int], Iterable[list[int]]] | None = None) -> None:
        """`load`: clauses that matter from the moment a variable is true for the first time."""
        self.steps_left = step_limit
        """Conflicts and decisions still allowed, over all questions."""
        self.core: list[int] = []
        """After a `False` answer: assumptions that cannot hold together; empty when the clauses alone cannot."""
        self.choose: Callable[[], int | None] | None = None
        """Once set, it may be replaced, not removed."""
        self.disturbs: Callable[[int], bool] | None = None
        """Whether `choose` could have chosen otherwise before, had it known that a literal holds.  With it, a conflict takes
        back one decision and not all that the learned clause does not rest on: those after it would be made again."""
        self.lowest_level = 0
        """The lowest level that was left since `choose` set it higher."""
        self._load = load
        self._loaded = bytearray(1)
        self._assumed: Sequence[int] = ()
        self._values: list[int] = [0]
        self._levels: list[int] = [0]
        self._reasons: list[list[int] | None] = [None]
        self._activity: list[float] = [0.0]
        self._phase: list[int] = [-1]
        self._watches: dict[int, list[list[int]]] = {}
        self._trail: list[int] = []
        self._borders: list[int] = []
        self._head = 0
        self._skewed = False
        """Some literal follows from a lower level than those before it on the trail."""
        self._disturbed = sys.maxsize
        """The level to go back to because `choose` might have chosen otherwise."""
        self._increment = 1.0
        self._order: list[tuple[float, int]] = []
        self._broken = False

    def variable(self) -> int:
        """A new variable."""
        self._values.append(0)
        self._levels.append(0)
        self._reasons.append(None)
        self._activity.append(0.0)
        self._phase.append(-1)
        number = len(self._values) - 1
        self._watches[number] = []
        self._watches[-number] = []
        self._loaded.append(0)
        heappush(self._order, (0.0, number))
        return number

    @property
    def level(self) -> int:
        """How many assumptions and decisions hold now."""
        return len(self._borders)

    @property
    def trail(self) -> Sequence[int]:
        """Literals that hold now, in the order in which they came to."""
        return self._trail

    def value(self, literal: int) -> int:
        """1 when the literal holds now, -1 when its negation does, 0 when it is open."""
        value = self._values[abs(literal)]
        return value if literal > 0 else -value

    def add(self, literals: Iterable[int]) -> None:
        """A clause: at least one literal holds."""
        self._backtrack(0)
        clause: list[int] = []
        for literal in dict.fromkeys(literals):
            value = self.value(literal)
            if value > 0 or -literal in clause:
                return
            if value == 0:
                clause.append(literal)
        if not clause:
            self._broken = True
        elif len(clause) == 1:
            self._assign(clause[0], None)
            self._broken = self._propagate() is not None or self._broken
        else:
            self._attach(clause)

    def holds(self, variable: int) -> bool:
        """Value of a variable in the last model."""
        return self._values[variable] > 0

    def solve(self, assumptions: Sequence[int] = ()) -> bool:
        """Whether all clauses and assumptions can hold together; the model stays readable until the next call.

        What follows from assumptions at the beginning that are those of the call before is not worked out again.
        """
        self._backtrack(self._shared(assumptions))
        self._assumed = tuple(assumptions)
        self.core = []
        while not self._broken:
            conflict = self._propagate()
            if conflict is not None:
                if not self._learn(conflict):
                    return False
                continue
            if self._disturbed < len(self._borders):
                self._backtrack(self._disturbed)
                continue
            literal = self._next(assumptions)
            if literal is None:
                return True
            if literal == 0:
                return False
            self._borders.append(len(self._trail))
            self._assign(literal, None)
        return False

    def _shared(self, assumptions: Sequence[int]) -> int:
        level = 0
        for literal, before in zip(assumptions, self._assumed, strict=False):
            if literal != before or level == len(self._borders):
                break
            level += 1
        return level

    def _next(self, assumptions: Sequence[int]) -> int | None:
        """The next decision; None when everything is decided, 0 when an assumption is refuted (`core` is set)."""
        while len(self._borders) < len(assumptions):
            literal = assumptions[len(self._borders)]
            value = self.value(literal)
            if value < 0:
                self.core = self._assumptions_behind(literal)
                return 0
            if value == 0:
                return literal
            self._borders.append(len(self._trail))
        self._spend()
        if self.choose is not None:
            return self.choose()
        while self._order:
            _, variable = heappop(self._order)
            if self._values[variable] == 0:
                return variable * self._phase[variable]
        return None

    def _spend(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise StepLimitReached

    def _attach(self, clause: list[int]) -> None:
        self._watches[-clause[0]].append(clause)
        self._watches[-clause[1]].append(clause)

    def _assign(self, literal: int, reason: list[int] | None) -> None:
        variable = abs(literal)
        level = len(self._borders)
        if self._skewed and reason is not None:
            lowest = self._level_of(literal, reason)
            if lowest < level:
                level = lowest
                if literal > 0 and self.disturbs is not None and self.disturbs(literal):
                    self._disturbed = min(self._disturbed, level)
        self._values[variable] = 1 if literal > 0 else -1
        self._levels[variable] = level
        self._reasons[variable] = reason
        self._trail.append(literal)

    def _level_of(self, literal: int, reason: list[int]) -> int:
        """The level from which a literal follows."""
        levels = self._levels
        if len(reason) == 2:
            return levels[abs(reason[1] if reason[0] == literal else reason[0])]
        return max([levels[abs(other)] for other in reason if other != literal], default=0)

    def _propagate(self) -> list[int] | None:
        """Unit propagation; the violated clause, or None.  The first two literals of a clause are watched."""
        values = self._values
        while self._head < len(self._trail):
            false = self._trail[self._head]
            self._head += 1
            if false > 0 and self._load is not None and not self._loaded[false]:
                conflict = self._bring(false, self._load)
                if conflict is not None:
                    return conflict
            watching = self._watches[false]
            kept: list[list[int]] = []
            for position, clause in enumerate(watching):
                if clause[0] == -false:
                    clause[0], clause[1] = clause[1], clause[0]
                first = clause[0]
                value = values[first] if first > 0 else -values[-first]
                if value > 0 or not self._rewatch(clause):
                    kept.append(clause)
                    if value < 0:
                        kept += watching[position + 1 :]
                        self._watches[false] = kept
                        return clause
                    if value == 0:
                        self._assign(first, clause)
            self._watches[false] = kept
        return None

    def _bring(self, variable: int, load: Callable[[int], Iterable[list[int]]]) -> list[int] | None:
        """Take the clauses of a variable that became true; one that is violated at once, or None."""
        self._loaded[variable] = 1
        violated: list[int] | None = None
        values = self._values
        for literals in load(variable):
            if len(literals) == 2 and literals[0] == -variable and not values[abs(literals[1])]:
                clause = [literals[1], literals[0]]  # most are of this kind: what a package rules out
                self._attach(clause)
                self._assign(clause[0], clause)
                continue
            clause = list(dict.fromkeys(literals))
            if any(-literal in clause for literal in clause):
                continue
            clause.sort(key=self._place)
            if len(clause) > 1:
                self._attach(clause)
            if self.value(clause[0]) < 0:
                violated = clause if violated is None or self._weight(clause) < self._weight(violated) else violated
            elif self.value(clause[0]) == 0 and (len(clause) == 1 or self.value(clause[1]) < 0):
                self._assign(clause[0], clause)
        return violated

    def _weight(self, clause: list[int]) -> tuple[int, int]:
        """Which of several violated clauses to learn from: what goes furthest back, the shortest."""
        return self._levels[abs(clause[0])], len(clause)

    def _place(self, literal: int) -> int:
        """Where a literal of a new clause belongs: what may hold first, then what was refuted last."""
        return -self._levels[abs(literal)] if self.value(literal) < 0 else -len(self._trail) - len(self._values)

    def _rewatch(self, clause: list[int]) -> bool:
        values = self._values
        for place in range(2, len(clause)):
            literal = clause[place]
            if (values[literal] if literal > 0 else -values[-literal]) >= 0:
                clause[1], clause[place] = literal, clause[1]
                self._watches[-literal].append(clause)
                return True
        return False

    def _learn(self, conflict: list[int]) -> bool:
        """Derive a clause from a conflict and go back; False when there is nothing left to revise."""
        self._spend()
        if self._skewed:
            self._backtrack(max(self._levels[abs(literal)] for literal in conflict))
        if not self._borders:
            self._broken = True
            return False
        learned, level = self._first_point(conflict)
        before = len(self._borders) - 1
        if self.choose is None or self.disturbs is None or before <= max(level, len(self._assumed)):
            self._backtrack(level)
        else:
            self._backtrack(before)
            self._skewed = True
        if len(learned) > 1:
            self._attach(learned)
        self._assign(learned[0], learned)
        self._increment *= 1.05
        return True

    def _first_point(self, conflict: list[int]) -> tuple[list[int], int]:
        """The clause of the first unique implication point, its asserting literal first, and the level to jump to."""
        seen: set[int] = set()
        others: list[int] = []
        open_paths = 0
        current = len(self._borders)
        position = len(self._trail)
        reason: list[int] = conflict
        literal = 0
        while True:
            for other in reason:
                variable = abs(other)
                if other == literal or variable in seen or self._levels[variable] == 0:
                    continue
                seen.add(variable)
                if self.choose is None:
                    self._bump(variable)
                if self._levels[variable] == current:
                    open_paths += 1
                else:
                    others.append(other)
            while True:
                position -= 1
                literal = self._trail[position]
                if abs(literal) in seen and self._levels[abs(literal)] == current:
                    break
            open_paths -= 1
            if open_paths == 0:
                break
            following = self._reasons[abs(literal)]
            assert following is not None, "every literal but the decision has a reason"
            reason = following
        others.sort(key=lambda other: -self._levels[abs(other)])
        return [-literal, *others], self._levels[abs(others[0])] if others else 0

    def _bump(self, variable: int) -> None:
        self._activity[variable] += self._increment
        if self._activity[variable] > 1e100:
            self._activity = [value * 1e-100 for value in self._activity]
            self._increment *= 1e-100
            self._order = [(-self._activity[number], number) for _, number in self._order]
            heapify(self._order)
        heappush(self._order, (-self._activity[variable], variable))

    def _backtrack(self, level: int) -> None:
        """Take back what is above a level; what follows from lower levels alone stays, and is looked at again."""
        if len(self._borders) <= level:
            return
        self.lowest_level = min(self.lowest_level, level)
        border = self._borders[level]
        values, levels = self._values, self._levels
        removed = self._trail[border:]
        staying: list[int] = []
        for literal in removed:
            variable = abs(literal)
            if levels[variable] <= level:
                staying.append(literal)
            else:
                values[variable] = 0
        if self.choose is None:
            for literal in removed:
                variable = abs(literal)
                self._phase[variable] = 1 if literal > 0 else -1
                heappush(self._order, (-self._activity[variable], variable))
        self._trail[border:] = staying
        del self._borders[level:]
        self._head = min(self._head, border)
        if level == 0:
            self._skewed = False
        if level <= self._disturbed:
            self._disturbed = sys.maxsize

    def _assumptions_behind(self, literal: int) -> list[int]:
        """Assumptions that together refute the assumption `literal` (itself included)."""
        core = [literal]
        seen = {abs(literal)}
        for assigned in reversed(self._trail):
            variable = abs(assigned)
            if variable not in seen or self._levels[variable] == 0:
                continue
            reason = self._reasons[variable]
            if reason is None:
                if assigned != -literal or abs(assigned) != abs(literal) or assigned == -literal:
                    core.append(assigned)
            else:
                seen.update(abs(other) for other in reason)
        return core
