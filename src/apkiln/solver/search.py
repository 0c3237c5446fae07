"""The complete path: the best solution where the fast path found none, or the certainty that there is none (spec apk.md §10.6).

The best solution is the lexicographically first one: names are taken in the order of the sorted world, then breadth first
along `D:` of what was chosen; each gets the first candidate, in the order of §10.4 rows 4-15, with which the rest can still
be completed.  The clause solver is led along just that way, and what it refutes, it refutes for good, so it ends at the first
solution there is; where packages or tags need to be granted, it is asked about each candidate instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.solver.clauses import RuleBase
from apkiln.solver.greedy import sorted_world
from apkiln.solver.preference import compare
from apkiln.solver.triggers import Triggers
from apkiln.solver.universe import Candidate, Provide, Universe
from apkiln.solver.walk import Walk, newest_first


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
        self._solver = self._rules.solver
        self._assumptions: list[int] = []
        self._chosen: dict[Candidate, None] = {}
        self._orders: dict[Dependency, list[Candidate]] = {}

    @property
    def rules(self) -> RuleBase:
        """What the search goes by, with what it learned."""
        return self._rules

    def run(self) -> Found | None:
        """The best solution, or None: there is none."""
        self._prepare()
        found = self._asked() if self._rules.has_grants else self._led()
        if not found:
            return None
        self._prune()
        left_out = self._triggered()
        return Found(tuple(self._chosen), tuple(left_out), self._limit - self._solver.steps_left)

    # ---- led along the way

    def _led(self) -> bool:
        walk = Walk(self._rules, self._ranked, inherit=self._universe.has_wishes)
        self._solver.choose = walk.next
        found = self._rules.solve([*self._rules.switches, -self._rules.unasked])
        self._chosen = dict(walk.chosen)
        return found

    # ---- asked at every step, where packages or tags need to be granted

    def _asked(self) -> bool:
        self._assumptions = [*self._rules.switches, -self._rules.unasked]
        if not self._rules.solve(self._assumptions):
            return False
        self._settle([(item, None) for item in self._world if not item.conflict])
        self._supporters()
        return True

    def _settle(self, items: Iterable[tuple[Dependency, Candidate | None]]) -> None:
        pending = deque(items)
        while pending:
            item, owner = pending.popleft()
            fitting = self._rules.fitting(item)
            for candidate in fitting if owner is not None else ():
                assert owner is not None
                candidate.wish |= owner.inherited_wish
                candidate.inherited_wish |= owner.inherited_wish
                candidate.allowed_tags |= owner.allowed_tags
            if any(candidate in self._chosen for candidate in fitting):
                continue
            candidate = self._best(item, fitting)
            self._chosen[candidate] = None
            pending.extend((needed, candidate) for needed in candidate.depends if not needed.conflict)

    def _best(self, item: Dependency, fitting: Sequence[Candidate]) -> Candidate:
        for candidate in self._ranked(item, fitting):
            variable = self._rules.variables[candidate]
            if self._rules.solve([*self._assumptions, variable]):
                self._assumptions.append(variable)
                return candidate
        raise AssertionError("the clauses can be met, so one of the fitting packages can be chosen")

    def _supporters(self) -> None:
        """Decide every package that was not chosen: none of them where possible."""
        variables = self._rules.variables
        open_candidates = [candidate for candidate in variables if candidate not in self._chosen]
        if self._rules.solve([*self._assumptions, *(-variables[candidate] for candidate in open_candidates)]):
            return
        for candidate in open_candidates:
            if candidate in self._chosen:
                continue
            if self._rules.solve([*self._assumptions, -variables[candidate]]):
                self._assumptions.append(-variables[candidate])
            else:
                self._assumptions.append(variables[candidate])
                self._chosen[candidate] = None
                self._settle([(item, candidate) for item in candidate.depends if not item.conflict])

    # ---- both

    def _prepare(self) -> None:
        """Tags of the world items count in the preference."""
        for item in self._world:
            bit = self._universe.tags.get(item.tag, 0)
            for provide in self._universe.name(item.name).providers:
                if hits(item, provide.version, provide.candidate.identity) != item.conflict:
                    provide.candidate.allowed_tags |= bit
                    provide.candidate.preferred_tags = bit

    def _ranked(self, item: Dependency, candidates: Sequence[Candidate]) -> Iterable[Candidate]:
        """By §10.4, of what a candidate provides under the item's name the best that fits."""
        if len(candidates) == 1:
            return candidates
        order = self._orders.get(item)
        if order is None:
            fitting = self._rules.fitting(item)
            if not self._is_fixed(item, fitting):
                return self._sorted(item, candidates)
            order = self._orders[item] = self._sorted(item, fitting)
        if len(order) == len(candidates):
            return order
        among = set(candidates)
        return [candidate for candidate in order if candidate in among]

    def _is_fixed(self, item: Dependency, fitting: Iterable[Candidate]) -> bool:
        """Whether the order of the candidates is the same whatever was chosen before, and for any selection of them."""
        universe = self._universe
        return not universe.has_wishes and not universe.tags and all(candidate.name == item.name for candidate in fitting)

    def _sorted(self, item: Dependency, candidates: Sequence[Candidate]) -> list[Candidate]:
        name = self._universe.name(item.name)
        among = set(candidates)

        def order(a: Provide, b: Provide) -> int:
            return compare(b, a, name)

        fitting = [
            provide
            for provide in name.providers
            if provide.candidate in among and hits(item, provide.version, provide.candidate.identity)
        ]
        return list(dict.fromkeys(provide.candidate for provide in sorted(fitting, key=cmp_to_key(order))))

    def _prune(self) -> None:
        """Leave out what the rest does not need after all, latest choices first: no proper subset stays a solution."""
        needed = self._needed()
        if len(needed) == len(self._chosen):
            return
        variables = self._rules.variables
        if not self._rules.has_grants:
            self._solver.choose = Walk(self._rules, newest_first).next
        outside = [-variable for candidate, variable in variables.items() if candidate not in self._chosen]
        base = [*self._rules.switches, -self._rules.unasked, *outside]
        for candidate in reversed(list(self._chosen)):
            if candidate in self._chosen and candidate not in needed and self._rules.solve([*base, -variables[candidate]]):
                gone = [other for other in self._chosen if not self._solver.holds(variables[other])]
                for other in gone:
                    del self._chosen[other]
                base += [-variables[other] for other in gone]

    def _needed(self) -> set[Candidate]:
        """Chosen packages without which something that must stay would miss something."""
        needed: set[Candidate] = set()
        pending = [item for item in self._world if not item.conflict]
        while pending:
            fitting = [candidate for candidate in self._rules.fitting(pending.pop()) if candidate in self._chosen]
            if len(fitting) == 1 and fitting[0] not in needed:
                needed.add(fitting[0])
                pending += [item for item in fitting[0].depends if not item.conflict]
        return needed

    def _triggered(self) -> list[tuple[Candidate, str]]:
        """install_if to a fixpoint: what fits joins, with its dependencies; what does not is named.

        A package whose joining ends what it joined for (by a `!` item of its install_if) does not join: without that, there
        may be no fixpoint.  Each takes one round more.
        """
        before = dict(self._chosen)
        state = [(each, each.wish, each.inherited_wish, each.allowed_tags) for each in self._rules.variables]
        left_out: dict[Candidate, str] = {}
        while True:
            tried = self._join(dict(left_out))
            vain = self._in_vain(before)
            if vain is None:
                names = {candidate.name for candidate in self._chosen}
                return [(candidate, why) for candidate, why in tried.items() if candidate.name not in names]
            left_out[vain] = "with it, its install_if is not met"
            self._chosen = dict(before)
            for candidate, wish, inherited, tags in state:
                candidate.wish, candidate.inherited_wish, candidate.allowed_tags = wish, inherited, tags

    def _join(self, left_out: dict[Candidate, str]) -> dict[Candidate, str]:
        """Let triggered packages join until nothing changes; those that did not, besides the ones given."""
        variables = self._rules.variables
        joining = self._rules.joining
        uncalled = [-literal for literal in joining.values()]
        self._assumptions = [*self._rules.switches, self._rules.unasked, *uncalled, *(variables[each] for each in self._chosen)]
        while True:
            triggers = Triggers(self._universe, self._world, self._chosen)
            fresh = next((candidate for candidate in triggers.met() if candidate not in left_out), None)
            if fresh is None:
                return left_out
            variable = variables.get(fresh)
            if not self._rules.has_grants:
                self._solver.choose = Walk(self._rules, newest_first).next
            without = -joining.get(fresh, 0)
            wanted = [abs(each) if each == without else each for each in self._assumptions]
            if variable is None or not self._rules.solve([*wanted, variable]):
                left_out[fresh] = triggers.obstacle(fresh) or "it does not fit"
                continue
            self._assumptions = [*wanted, variable]
            self._chosen[fresh] = None
            self._settle([(item, fresh) for item in fresh.depends if not item.conflict])

    def _in_vain(self, before: Container[Candidate]) -> Candidate | None:
        """The first package that joined and for which nothing speaks any more."""
        if not any(item.conflict for candidate in self._chosen for item in candidate.install_if):
            return None
        items = [*self._world, *(item for candidate in self._chosen for item in candidate.depends)]
        needed = {candidate for item in items if not item.conflict for candidate in self._rules.fitting(item)}
        triggers = Triggers(self._universe, self._world, self._chosen)
        joined = [each for each in self._chosen if each not in before and each not in needed]
        return next((each for each in joined if not triggers.still_met(each)), None)
