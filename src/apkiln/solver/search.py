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
from apkiln.solver.universe import Candidate, Name, Provide, Universe


@dataclass(frozen=True, slots=True)
class Found:
    """A complete solution."""

    chosen: tuple[Candidate, ...]
    """In order of choice."""
    left_out: tuple[tuple[Candidate, str], ...]
    """Packages whose install_if is met and which do not fit, with the first item that fails."""
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
        if not self._solver.solve(self._assumptions):
            return None
        self._prepare()
        self._settle([(item, None) for item in self._world if not item.conflict])
        self._supporters()
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
            if self._solver.solve([*self._assumptions, variable]):
                self._assumptions.append(variable)
                return candidate
        raise AssertionError("the clauses can be met, so one of the fitting packages can be chosen")

    def _supporters(self) -> None:
        """Decide every package that was not chosen: none of them where possible."""
        open_candidates = [candidate for candidate in self._rules.variables if candidate not in self._chosen]
        refused = [-self._rules.variables[candidate] for candidate in open_candidates]
        if self._solver.solve([*self._assumptions, *refused]):
            return
        for candidate in open_candidates:
            variable = self._rules.variables[candidate]
            if candidate in self._chosen:
                continue
            if self._solver.solve([*self._assumptions, -variable]):
                self._assumptions.append(-variable)
            else:
                self._assumptions.append(variable)
                self._chosen[candidate] = None
                self._settle([(item, candidate) for item in candidate.depends if not item.conflict])

    def _triggered(self) -> list[tuple[Candidate, str]]:
        """install_if to a fixpoint: what fits joins, with its dependencies; what does not is named."""
        self._assumptions = [
            *self._rules.switches,
            self._rules.unasked,
            *(self._rules.variables[candidate] for candidate in self._chosen),
        ]
        left_out: dict[Candidate, str] = {}
        names = {candidate.name for candidate in self._chosen}
        while True:
            fresh = [
                candidate
                for candidate in self._rules.variables
                if candidate.install_if and candidate.name not in names and candidate not in left_out and self._is_met(candidate)
            ]
            if not fresh:
                return [(candidate, item) for candidate, item in left_out.items() if candidate.name not in names]
            candidate = min(fresh, key=cmp_to_key(self._order))
            variable = self._rules.variables[candidate]
            if candidate.unusable or not candidate.reachable:
                left_out[candidate] = candidate.unusable or "unavailable"
            elif self._solver.solve([*self._assumptions, variable]):
                self._assumptions.append(variable)
                self._chosen[candidate] = None
                self._settle([(item, candidate) for item in candidate.depends if not item.conflict])
                names = {chosen.name for chosen in self._chosen}
            else:
                left_out[candidate] = self._obstacle(candidate)

    @staticmethod
    def _order(a: Candidate, b: Candidate) -> int:
        """By name; of one name the highest version first."""
        if a.name != b.name:
            return -1 if a.name < b.name else 1
        return (a.key < b.key) - (a.key > b.key)

    def _is_met(self, candidate: Candidate) -> bool:
        for item in candidate.install_if:
            provides = self._universe.name(item.name).providers
            held = any(provide.candidate in self._chosen and self._fits(item, provide) for provide in provides)
            if held == item.conflict:
                return False
        if candidate.always_allowed or candidate.tag_allowed:
            return True
        for item in candidate.install_if:
            for provide in self._universe.name(item.name).providers:
                if provide.candidate in self._chosen:
                    candidate.allowed_tags |= provide.candidate.allowed_tags
        return candidate.tag_allowed  # without the tag it is silently left out (§19.1)

    def _obstacle(self, candidate: Candidate) -> str:
        """The first item of a package that cannot hold beside what is chosen; its name when something else forbids it."""
        for item in candidate.depends:
            fitting = [
                self._rules.variables[provide.candidate]
                for provide in self._universe.name(item.name).providers
                if self._fits(item, provide)
            ]
            if item.conflict:
                if any(chosen is not candidate and self._holds(item, chosen) for chosen in self._chosen):
                    return str(item)
            elif not any(self._solver.solve([*self._assumptions, variable]) for variable in fitting):
                return str(item)
        return candidate.name

    def _holds(self, item: Dependency, chosen: Candidate) -> bool:
        return any(
            provide.candidate is chosen and hits(item, provide.version, chosen.identity)
            for provide in self._universe.name(item.name).providers
        )
