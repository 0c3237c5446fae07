"""Why there is no solution: the smallest conflicting set as a value (spec apk.md §10.9).  Its text is made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations

from apkiln.core.errors import UnsatisfiableError
from apkiln.formats.apk.dependency import Dependency
from apkiln.solver.clauses import Fact, RuleBase
from apkiln.solver.decisions import StepLimitReached
from apkiln.solver.hints import Hint, hints, places
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.universe import Candidate, Universe
from apkiln.solver.walk import Walk, newest_first

EXACT_WORLD = 64
"""Up to this many world items the smallest set is exact; above, and when the effort ends, it is only irreducible."""
EFFORT = 20_000
"""Steps spent on making a conflict small; a contradiction is shown as far as it got."""
FACT_EFFORT = 3_000
"""Steps to refute a conflict by its facts, and as many to make them few."""
LEAST_QUESTIONS, MOST_LOOKS = 60, 50_000
"""Questions asked to make a conflict small: a question about many items costs more, so fewer are asked."""
MOST_INVOLVED = 200
"""Packages that a refutation may speak of to be made small."""
MOST_SETS = 1_000
"""Sets of world items asked about one by one where a set may have a solution and a part of it none."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One change that makes the request solvable."""

    kind: str
    """`drop-item`, `loosen-item` or `allow-tag`."""
    item: str
    """The world item it is about."""
    replacement: str = ""
    """What to write instead; empty to leave it out."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A contradiction: without any one of its world items the rest has a solution."""

    conflict: tuple[Dependency, ...]
    """World items that cannot hold together, by name."""
    facts: tuple[Fact, ...]
    """What the packages contribute to it."""
    smallest: bool
    """No other conflicting set has fewer world items; False = it may be reducible or another may be smaller."""
    irreducible: bool = True
    """Without any one of the facts there would be a solution; False = some may not matter."""
    suggestions: tuple[Suggestion, ...] = ()
    hints: tuple[Hint, ...] = ()
    """Near misses."""
    places: tuple[tuple[str, str], ...] = ()
    """Repositories (name, tag) of the packages that the facts speak of, where they have a name or tag."""


class Unsatisfiable(UnsatisfiableError):
    """No set of packages satisfies the request; `explanation` says why."""

    def __init__(self, explanation: Explanation) -> None:
        from apkiln.solver.explanation_text import headline, lines

        super().__init__(headline(explanation), reason="unsatisfiable", details=lines(explanation))
        self.explanation = explanation


def explain(repositories: Sequence[SolverRepository], request: Request, rules: RuleBase) -> Unsatisfiable:
    """The error for a request that has no solution, from the rules of a search that found none.  Raises StepLimitReached when
    the budget ends before a conflict is found."""
    universe, world = rules.universe, rules.world
    if not rules.has_grants:
        rules.solver.choose = Walk(rules, newest_first).next
    conflict, smallest = _smallest(rules, range(len(world)))
    items = tuple(world[number] for number in conflict)
    facts, irreducible = _facts(rules, conflict, request.step_limit)
    suggestions = _suggestions(rules, request.step_limit, conflict)
    near = hints(repositories, universe, facts)
    where = tuple(_places(repositories, universe, facts))
    return Unsatisfiable(Explanation(items, facts, smallest, irreducible, suggestions, near, where))


def _places(repositories: Sequence[SolverRepository], universe: Universe, facts: Sequence[Fact]) -> Iterator[tuple[str, str]]:
    spoken_of = {name for fact in facts for name in (fact.package, *fact.by.split())}
    seen: dict[str, list[str]] = {}
    for candidate in universe.candidates:
        label = places(repositories, candidate)
        if label and candidate.record.name_version in spoken_of:
            seen.setdefault(candidate.record.name_version, []).append(label)
    for name, labels in sorted(seen.items()):
        yield name, ", ".join(dict.fromkeys(labels))


def _rules(universe: Universe, world: Sequence[Dependency], step_limit: int, *, explain: bool = False) -> RuleBase:
    rules = RuleBase(universe, world, step_limit, explain=explain)
    if not rules.has_grants:
        rules.solver.choose = Walk(rules, newest_first).next
    return rules


def _smallest(rules: RuleBase, numbers: Sequence[int]) -> tuple[list[int], bool]:
    """World items (positions) of a smallest conflicting set; ties go to the earlier items."""

    met: list[frozenset[int]] = []

    def holds(chosen: Sequence[int]) -> bool:
        if not rules.has_grants and any(each.issuperset(chosen) for each in met):
            return True
        possible = rules.solve([-rules.unasked, *(rules.switches[number] for number in chosen)])
        if possible:
            met.append(frozenset(number for number in numbers if number in chosen))
        return possible

    def alone(chosen: Sequence[int]) -> bool:
        """No other item lends its permission."""
        switches = rules.switches
        return rules.solve([-rules.unasked, *(switches[each] if each in chosen else -switches[each] for each in numbers)])

    if holds(numbers):
        raise AssertionError("only contradictions are explained")
    in_core = set(rules.solver.core)
    rules.solver.steps_left = EFFORT
    core = [number for number in numbers if rules.switches[number] in in_core]

    def refuted() -> set[int]:
        literals = set(rules.solver.core)
        return {number for number in numbers if rules.switches[number] in literals}

    before = -1
    irreducible = True
    while irreducible and len(core) != before:  # an item may be what allows another to be met, so once is not enough
        before = len(core)
        core, irreducible = _irreducible(core, holds, refuted)
    if not irreducible or len(numbers) > EXACT_WORLD:
        return core, len(core) <= 1
    try:
        if rules.has_grants:
            return _first_of_all(core, numbers, alone)
        return _minimum(core, numbers, holds)
    except StepLimitReached:
        return core, False


def _irreducible(
    items: Sequence[int], holds: Callable[[Sequence[int]], bool], core: Callable[[], Collection[int]]
) -> tuple[list[int], bool]:
    """Remove what is not needed for the contradiction, last items first; False beside it when the effort ended before.

    `core`: the items that the last refutation rests on, so one question may remove many.
    """
    kept = list(items)
    place = len(kept)
    questions = max(LEAST_QUESTIONS, MOST_LOOKS // (place + 1))
    try:
        while place:
            place -= 1
            questions -= 1
            if questions < 0:
                return kept, False
            rest = [*kept[:place], *kept[place + 1 :]]
            if not holds(rest):
                needed = core()
                place = sum(1 for item in kept[:place] if item in needed)
                kept = [item for item in rest if item in needed]
    except StepLimitReached:
        return kept, False
    return kept, True


def _minimum(core: list[int], numbers: Sequence[int], holds: Callable[[Sequence[int]], bool]) -> tuple[list[int], bool]:
    """A conflicting set of fewest items: grow a candidate from sets that every conflicting set must hit."""
    corrections: list[frozenset[int]] = []
    while True:
        candidate = _hitting_set(corrections, len(core))
        if candidate is None or len(candidate) >= len(core):
            return core, True
        if not holds(candidate):
            return candidate, True
        kept = list(candidate)
        for number in numbers:
            if number not in kept and holds([*kept, number]):
                kept.append(number)
        corrections.append(frozenset(numbers) - frozenset(kept))


def _first_of_all(core: list[int], numbers: Sequence[int], holds: Callable[[Sequence[int]], bool]) -> tuple[list[int], bool]:
    """A conflicting set of fewest items where an item may be what allows another one: more items may have a solution when
    fewer have none, so every set smaller than the one known is asked about, up to `MOST_SETS`."""
    asked = 0
    for size in range(1, len(core)):
        for chosen in combinations(numbers, size):
            asked += 1
            if asked > MOST_SETS:
                return core, False
            if not holds(chosen):
                return list(chosen), True
    return core, True


def _hitting_set(sets: Sequence[frozenset[int]], limit: int) -> list[int] | None:
    """Fewest numbers that meet every set, the earliest of several; None when `limit` or more are needed."""
    for size in range(limit):
        found = _hit(sets, size, ())
        if found is not None:
            return sorted(found)
    return None


def _hit(sets: Sequence[frozenset[int]], size: int, chosen: tuple[int, ...]) -> tuple[int, ...] | None:
    missed = next((each for each in sets if not each.intersection(chosen)), None)
    if missed is None:
        return chosen
    if size == 0:
        return None
    for number in sorted(missed):
        found = _hit(sets, size - 1, (*chosen, number))
        if found is not None:
            return found
    return None


def _facts(rules: RuleBase, conflict: Sequence[int], step_limit: int) -> tuple[tuple[Fact, ...], bool]:
    """An irreducible set of facts for a conflict, from the request along the chain of needs.

    Only packages of which a refutation makes use can take part in one.  Where these are very many, all their facts.
    """
    universe, items = rules.universe, [rules.world[number] for number in conflict]
    plain = _rules(universe, items, step_limit) if rules.has_grants else rules
    switches = plain.switches if rules.has_grants else [rules.switches[number] for number in conflict]
    plain.solver.steps_left = step_limit
    if plain.solve([-plain.unasked, *switches]):
        raise AssertionError("the conflict stands")
    involved = plain.involved()
    if len(involved) > MOST_INVOLVED:
        return tuple(_chain(plain.facts_about(items, involved))), False
    try:
        for packages in (involved, plain.tried):
            found = _facts_about(plain.with_rivals(items, packages), universe, items)
            if found:
                return found
    except StepLimitReached:
        return tuple(_chain(plain.facts_about(items, involved))), False
    raise AssertionError("the conflict stands with all facts")


def _facts_about(
    packages: Sequence[Candidate], universe: Universe, conflict: Sequence[Dependency]
) -> tuple[tuple[Fact, ...], bool] | None:
    """An irreducible set of facts about packages, where there are no others; None when these go together."""
    rules = _rules(universe, conflict, FACT_EFFORT, explain=True)
    rules.require(packages)
    always = [-rules.unasked, *rules.switches]
    literals = list(rules.facts)
    if rules.solve([*always, *literals]):
        return None

    def holds(chosen: Sequence[int]) -> bool:
        return rules.solve([*always, *chosen])

    def refuted() -> set[int]:
        return set(rules.solver.core)

    core = refuted()
    rules.solver.steps_left = FACT_EFFORT
    kept, irreducible = _irreducible([literal for literal in literals if literal in core], holds, refuted)
    return tuple(_chain([rules.facts[literal] for literal in kept])), irreducible


def _chain(facts: Sequence[Fact]) -> list[Fact]:
    """Facts about the request first, then those about packages that facts before them speak of."""
    about: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        about.setdefault(fact.package, []).append(number)
    ready = about.pop("", [])
    waiting = iter(range(len(facts)))
    ordered: dict[int, Fact] = {}
    while len(ordered) < len(facts):
        number = heappop(ready) if ready else next(waiting)
        if number in ordered:
            continue
        ordered[number] = facts[number]
        for name in facts[number].by.split():
            for following in about.pop(name, ()):
                heappush(ready, following)
    return list(ordered.values())


def _suggestions(rules: RuleBase, step_limit: int, conflict: Sequence[int]) -> tuple[Suggestion, ...]:
    """Single changes of one conflicting item after which the whole world can be met."""
    world = rules.world
    tags = sorted(rules.universe.tags)
    found: list[Suggestion] = []
    for number in conflict:
        for suggestion, instead in _variants(world[number], tags, len(world) == 1):
            try:
                possible = _is_possible(rules, number, instead, step_limit)
            except StepLimitReached:
                continue
            if possible:
                found.append(suggestion)
                break
    return tuple(found)


def _is_possible(rules: RuleBase, number: int, instead: Sequence[Dependency], step_limit: int) -> bool:
    """Whether the world can be met with other items in the place of one."""
    if rules.has_grants:
        changed = _rules(rules.universe, [*rules.world[:number], *instead, *rules.world[number + 1 :]], step_limit)
        return changed.solve([*changed.switches, -changed.unasked])
    rules.solver.steps_left = EFFORT
    others = [switch for place, switch in enumerate(rules.switches) if place != number]
    return rules.solve([-rules.unasked, *others, *(rules.also(item) for item in instead)])


def _variants(item: Dependency, tags: Sequence[str], alone: bool) -> list[tuple[Suggestion, list[Dependency]]]:
    """Changes of one item, the gentlest first; `alone`: without it nothing would be asked for."""
    tagged = [item._replace(tag=tag) for tag in tags] if not item.tag and not item.conflict else []
    variants = [(Suggestion("allow-tag", str(item), str(other)), [other]) for other in tagged]
    if item.operator and not item.conflict:
        loose = item._replace(operator="", version="")
        variants.append((Suggestion("loosen-item", str(item), str(loose)), [loose]))
    return variants if alone else [*variants, (Suggestion("drop-item", str(item)), [])]
