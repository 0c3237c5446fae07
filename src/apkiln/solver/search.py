"""The complete path: the best solution where the fast path found none, or the certainty that there is none (spec apk.md §10.6).

The best solution is the lexicographically first one: names are taken in the order of the sorted world, then breadth first
along `D:` of what was chosen; each gets the first candidate, in the order of §10.4 rows 4-15, with which the rest can still
be completed.  Whether it can is asked of a clause solver, so nothing is tried twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.solver.clauses import RuleBase
from apkiln.solver.greedy import sorted_world
from apkiln.solver.preference import compare
from apkiln.solver.triggers import Triggers
from apkiln.solver.universe import Candidate, Name, Provide, Universe


@dataclass(frozen=True, slots=True)
class Found:
    """A complete solution."""

    chosen: tuple[Candidate, ...]
    """In order of choice."""
    left_out: tuple[tuple[Candidate, str], ...]
    """Packages whose install_if is met and which do not fit, with what speaks against them."""
    steps: int


class Search:
    """One search over a fresh universe; raises StepLimitReached when the budget is spent."""

    def __init__(self, universe: Universe, world: Sequence[Dependency], step_limit: int) -> None:
        self._universe = universe
        self._world = sorted_world(world)
        self._limit = step_limit
        self._rules = RuleBase(universe, self._world, step_limit)
        self._rules.support()
        self._solver = self._rules.solver
        self._assumptions: list[int] = []
        self._chosen: dict[Candidate, None] = {}

    def run(self) -> Found | None:
        """The best solution, or None: there is none."""
        self._assumptions = [*self._rules.switches, -self._rules.unasked]
        if not self._rules.solve(self._assumptions):
            return None
        self._prepare()
        self._settle([(item, None) for item in self._world if not item.conflict])
        self._supporters()
        self._prune()
        left_out = self._triggered()
        return Found(tuple(self._chosen), tuple(left_out), self._limit - self._solver.steps_left)

    def _prepare(self) -> None:
        """Tags of the world items count in the preference."""
        for item in self._world:
            bit = self._universe.tags.get(item.tag, 0)
            for provide in self._universe.name(item.name).providers:
                if hits(item, provide.version, provide.candidate.identity) != item.conflict:
                    provide.candidate.allowed_tags |= bit
                    provide.candidate.preferred_tags = bit

    def _settle(self, items: Iterable[tuple[Dependency, Candidate | None]]) -> None:
        pending = deque(items)
        while pending:
            item, owner = pending.popleft()
            name = self._universe.name(item.name)
            fitting = [provide for provide in name.providers if self._fits(item, provide)]
            if owner is not None:
                for provide in fitting:
                    self._inherit(provide.candidate, owner)
            if any(provide.candidate in self._chosen for provide in fitting):
                continue
            candidate = self._best(name, fitting)
            self._chosen[candidate] = None
            pending.extend((needed, candidate) for needed in candidate.depends if not needed.conflict)

    def _fits(self, item: Dependency, provide: Provide) -> bool:
        return provide.candidate in self._rules.variables and hits(item, provide.version, provide.candidate.identity)

    @staticmethod
    def _inherit(candidate: Candidate, owner: Candidate) -> None:
        candidate.wish |= owner.inherited_wish
        candidate.inherited_wish |= owner.inherited_wish
        candidate.allowed_tags |= owner.allowed_tags

    def _best(self, name: Name, fitting: Sequence[Provide]) -> Candidate:
        def order(a: Provide, b: Provide) -> int:
            return compare(b, a, name)

        ranked = sorted(fitting, key=cmp_to_key(order))
        for candidate in dict.fromkeys(provide.candidate for provide in ranked):
            variable = self._rules.variables[candidate]
            if self._rules.solve([*self._assumptions, variable]):
                self._assumptions.append(variable)
                return candidate
        raise AssertionError("the clauses can be met, so one of the fitting packages can be chosen")

    def _supporters(self) -> None:
        """Decide every package that was not chosen: none of them where possible."""
        open_candidates = [candidate for candidate in self._rules.variables if candidate not in self._chosen]
        refused = [-self._rules.variables[candidate] for candidate in open_candidates]
        if self._rules.solve([*self._assumptions, *refused]):
            return
        for candidate in open_candidates:
            variable = self._rules.variables[candidate]
            if candidate in self._chosen:
                continue
            if self._rules.solve([*self._assumptions, -variable]):
                self._assumptions.append(-variable)
            else:
                self._assumptions.append(variable)
                self._chosen[candidate] = None
                self._settle([(item, candidate) for item in candidate.depends if not item.conflict])

    def _prune(self) -> None:
        """Leave out what the rest does not need after all, latest choices first: no proper subset stays a solution."""
        variables = self._rules.variables
        outside = [-variable for candidate, variable in variables.items() if candidate not in self._chosen]
        base = [*self._rules.switches, -self._rules.unasked, *outside]
        for candidate in reversed(list(self._chosen)):
            if candidate in self._chosen and self._rules.solve([*base, -variables[candidate]]):
                gone = [other for other in self._chosen if not self._solver.holds(variables[other])]
                for other in gone:
                    del self._chosen[other]
                base += [-variables[other] for other in gone]

    def _triggered(self) -> list[tuple[Candidate, str]]:
        """install_if to a fixpoint: what fits joins, with its dependencies; what does not is named."""
        self._assumptions = [
            *self._rules.switches,
            self._rules.unasked,
            *(self._rules.variables[candidate] for candidate in self._chosen),
        ]
        left_out: dict[Candidate, str] = {}
        while True:
            triggers = Triggers(self._universe, self._world, self._chosen)
            fresh = next((candidate for candidate in triggers.met() if candidate not in left_out), None)
            if fresh is None:
                names = {candidate.name for candidate in self._chosen}
                return [(candidate, why) for candidate, why in left_out.items() if candidate.name not in names]
            variable = self._rules.variables.get(fresh)
            if variable is None or not self._rules.solve([*self._assumptions, variable]):
                left_out[fresh] = triggers.obstacle(fresh) or "it does not fit"
                continue
            self._assumptions.append(variable)
            self._chosen[fresh] = None
            self._settle([(item, fresh) for item in fresh.depends if not item.conflict])
