"""Decisions: which domain is open and was in conflicts lately, what it is tried with, and how a decision is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush

from apkiln.solver.propagation import Propagation
from apkiln.solver.reasons import FACT, Allowed, Clause


class StepLimitReached(Exception):
    """The budget of conflicts is spent; the question stays open."""


class Decisions(Propagation):
    """Propagation with levels, one per decision, and a budget of steps."""

    __slots__ = (
        "_activity",
        "_increment",
        "_led",
        "_order",
        "_saved",
        "lowest_level",
        "steps_left",
    )

    def __init__(self, step_limit: int, load: Callable[[int], Iterable[Clause]] | None) -> None:
        """`load`: see `ClauseSolver`."""
        super().__init__(load)
        self.steps_left = step_limit
        """Conflicts and decisions still allowed, over all questions."""
        self.lowest_level = 0
        """The lowest level that was left since `choose` set it higher."""
        # ---- of each domain
        self._activity: list[float] = []
        self._saved: list[int] = []
        """What it had last."""
        self._increment = 1.0
        self._order: list[tuple[float, int]] = []
        """Heap of open domains, the most active one first."""
        self._led = False
        """Whether `choose` decides; only otherwise the order and what is saved are kept."""

    def group(self, count: int) -> Sequence[int]:
        """New variables of which at most one is true."""
        self._activity.append(0.0)
        self._saved.append(1 << count)
        return super().group(count)

    def _spend(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise StepLimitReached

    def _order_anew(self) -> None:
        """All open domains, by what conflicts were about lately."""
        self._order = [(-self._activity[number], number) for number, each in enumerate(self._domains) if each & (each - 1)]
        heapify(self._order)

    def _open_choice(self) -> Allowed | None:
        """A value for an open domain: what it had last, or none of its variables, or the last one."""
        while self._order:
            _, number = heappop(self._order)
            domain = self._domains[number]
            if domain & (domain - 1):
                none = self._none[number]
                for value in (self._saved[number], none):
                    if value & domain:
                        return number, value
                return number, 1 << (domain.bit_length() - 1)
        return None

    def _bump(self, number: int) -> None:
        self._activity[number] += self._increment
        if self._activity[number] > 1e100:
            self._activity = [value * 1e-100 for value in self._activity]
            self._increment *= 1e-100
            self._order = [(-self._activity[other], other) for _, other in self._order]
        if not self._led:
            heappush(self._order, (-self._activity[number], number))

    def _backtrack(self, level: int) -> None:
        """Take back what is above a level, except what holds always."""
        if len(self._borders) <= level:
            return
        self.lowest_level = min(self.lowest_level, level)
        self._wiped = None
        border = self._borders[level]
        domains, history, possible = self._domains, self._history, self._possible
        free = not self._led
        late: dict[int, None] = {}
        for place in range(len(self._changed) - 1, border - 1, -1):
            number = self._changed[place]
            after, before = self._after[place], self._before[place]
            if free:
                if after and not after & (after - 1):
                    self._saved[number] = after
                heappush(self._order, (-self._activity[number], number))
            if before & ~possible[number]:
                late[number] = None
            domains[number] = before
            history[number].pop()
        for entries in (self._changed, self._before, self._after, self._reasons):
            del entries[border:]
        del self._true[self._true_borders[level] :]
        del self._borders[level:]
        del self._true_borders[level:]
        self._head = min(self._head, border)
        for number in late:
            self._narrow(number, domains[number] & possible[number], FACT)
