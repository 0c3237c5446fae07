"""The rules of a valid set of packages as clauses (spec apk.md §9, §10.6): what must hold, not what is preferred.

One variable per package that the world can reach.  The clauses of a package are made when it is chosen for the first time, so
the work goes with what is tried and not with what exists.  World items are switched on by assumption literals, so a subset of
the world can be asked about; when an explanation is wanted, the facts about packages get such switches, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.dependency import Dependency
from apkiln.solver.callers import Callers
from apkiln.solver.fitting import Fitting
from apkiln.solver.grounding import circles
from apkiln.solver.reach import Reach
from apkiln.solver.reasons import Allowed, Clause, Learned
from apkiln.solver.satisfiability import ClauseSolver
from apkiln.solver.universe import UNTAGGED, Candidate, Name, Universe


class Fact(NamedTuple):
    """Something true about packages that takes part in a contradiction."""

    kind: str
    """`no-such-package` (nothing has the name), `version` (nothing that has it fits), `depends`, `conflict`,
    `exclusive-name`, `tag`, `virtual-unselectable`, or why a package is unusable: `arch`, `bad-record`, `unavailable`."""
    package: str
    """`name-version` it is about, empty for the world; the name itself for `exclusive-name`."""
    item: str
    """The item or detail."""
    by: str = ""
    """Packages on the other side, separated by spaces: who would fit, who does not, who competes."""


class RuleBase:
    """Clauses for one universe and world."""

    def __init__(self, universe: Universe, world: Sequence[Dependency], step_limit: int, *, explain: bool = False) -> None:
        self.universe = universe
        self.world = tuple(world)
        self.solver = ClauseSolver(step_limit, None if explain else self._load)
        self.variables: dict[Candidate, int] = {}
        """In order of discovery."""
        self.candidates: dict[int, Candidate] = {}
        """The other way round."""
        self.tried: list[Candidate] = []
        """Packages whose clauses were made, in order."""
        self.facts: dict[int, Fact] = {}
        """Switch literal → fact; empty unless explaining."""
        self._required: set[Candidate] | None = set() if explain else None
        self._fact_switches: dict[Fact, int] = {}
        self._explain = explain
        self.fitting: Callable[[Dependency], tuple[Candidate, ...]] = Fitting(universe, self.variables).of
        """Packages that an item speaks of, in the order of the providers of its name."""
        self._allowed: dict[Dependency, tuple[Allowed, ...]] = {}
        """Item → packages that it speaks of, as the solver has them: one literal per domain."""
        self._owners: dict[str, tuple[tuple[Allowed, ...], tuple[Allowed, ...]]] = {}
        """Name → packages that own it with a version, and all that own it."""
        self._members: dict[int, Sequence[int]] = {}
        """Domain → variables."""
        self._grants: dict[int, list[int]] = {}
        """Literal "a package is called for", or "a tag is allowed for a package" → literals that grant it."""
        self.switches = [self.solver.variable() for _ in self.world]
        """One per world item, in order."""
        self._world_items = dict(zip(self.switches, self.world, strict=True))
        self._switch_of = {self.solver.domain_of(switch): switch for switch in self.switches}
        self.unasked = self.solver.variable()
        """Assume the negation, and every package must be called for by an item it may be picked for (§9); otherwise those of
        `joining` need not be."""
        reach = Reach(universe, self.world)
        self._number(reach.packages)
        callers = Callers(universe, self._world_items, reach.askers, self.variables)
        self.supported = callers.supported(self.candidates)
        """Packages of which must be said who calls for them, with the literals of those who do."""
        self.joining = {candidate: self.solver.variable() for candidate in self.supported if candidate.install_if}
        """Literals that let a package be there for its install_if alone, while `unasked` holds."""
        for literal in self.joining.values():
            self.solver.add([-literal, self.unasked])
        if self.universe.tags:
            self._tags(callers)

    @property
    def has_grants(self) -> bool:
        """Whether a model must give every variable a value, because some literals need to be granted."""
        return bool(self.supported) or bool(self.universe.tags)

    def solve(self, assumptions: Sequence[int]) -> bool:
        """Whether the rules and assumptions can hold together; `solver.core` as usual on False.

        Needs and tags must come from the world, not from packages that give them to each other: such circles are cut as
        they appear.
        """
        while self.solver.solve(assumptions):
            found = circles(self._grants, self._holds)
            if not found:
                return True
            for circle in found:
                outside = dict.fromkeys(giver for literal in circle for giver in self._grants[literal] if giver not in circle)
                for literal in sorted(circle):
                    self.solver.add([-literal, *sorted(outside)])
        return False

    def _holds(self, literal: int) -> bool:
        """In a model, where what has no value is false; a fact that is switched off grants what it would forbid."""
        return self.solver.holds(literal) if literal > 0 else not self.solver.holds(-literal)

    def also(self, item: Dependency) -> int:
        """Switch of one more world item, on a name that was reached, where nothing has to be granted."""
        switch = self.solver.variable()
        self._world_items[switch] = item
        self._switch_of[self.solver.domain_of(switch)] = switch
        return switch

    def facts_about(self, items: Iterable[Dependency], candidates: Iterable[Candidate]) -> list[Fact]:
        """What items of the world and packages contribute to a contradiction, whether it is needed or not."""
        found = {self._item_fact(item, None, self.fitting(item)): None for item in items}
        for candidate in candidates:
            reason = candidate.unusable or ("" if candidate.reachable else "unavailable")
            if reason:
                found[Fact(reason, candidate.record.name_version, candidate.defect)] = None
                continue
            found.update((self._item_fact(item, candidate, self.fitting(item)), None) for item in candidate.depends)
        return list(found)

    def _spoken_of(self, item: Dependency) -> tuple[Allowed, ...]:
        """`fitting` as literals of the solver: one of these holds when the item is met."""
        found = self._allowed.get(item)
        if found is None:
            found = self._allowed[item] = self._literals(self.fitting(item))
        return found

    def _literals(self, candidates: Iterable[Candidate]) -> tuple[Allowed, ...]:
        return tuple(self.solver.clause([self.variables[candidate] for candidate in candidates]))

    def _number(self, packages: Iterable[Candidate]) -> None:
        """Make the variables; packages of one name are alternatives, unless which rule says so is to be explained."""
        found = {each: "" if self._explain or not each.record.version else each.name for each in packages}
        counts = Counter(found.values())
        free: dict[str, Iterator[int]] = {}
        for candidate, text in found.items():
            if text not in free or not text:
                members = self.solver.group(counts[text] if text else 1)
                self._members[self.solver.domain_of(members[0])] = members
                free[text] = iter(members)
            variable = next(free[text])
            self.variables[candidate] = variable
            self.candidates[variable] = candidate

    # ---- rules

    def require(self, candidates: Iterable[Candidate]) -> None:
        """When explaining: make the clauses of the world and of some packages; all other packages have none."""
        for switch in self.switches:
            self._add_all(self.solver.domain_of(switch))
        for candidate in candidates:
            if self._required is not None:
                self._required.add(candidate)
            self._add_all(self.solver.domain_of(self.variables[candidate]))

    def _add_all(self, domain: int) -> None:
        for clause in self._load(domain):
            self.solver.add_clause(clause)

    def involved(self) -> list[Candidate]:
        """Packages that take part in the last refutation, in the order tried."""
        used: set[Candidate] = set()
        for use in self.solver.proof():
            if isinstance(use.reason, Learned):
                continue
            if isinstance(use.reason, list):
                owners = [(number, self.solver.full(number) & ~bits) for number, bits in use.reason]
            else:
                table, _ = use.reason
                others = sum(values for values, allowed in table.entries if allowed & use.lost)
                owners = [(table.source, use.lost if table.source == use.number else sum(v for v, _ in table.entries) & ~others)]
            used.update(self._packages(owners))
        return [candidate for candidate in self.tried if candidate in used]

    def _packages(self, literals: Iterable[Allowed]) -> Iterator[Candidate]:
        for number, bits in literals:
            for place, variable in enumerate(self._members.get(number, ())):
                if bits >> place & 1:
                    yield self.candidates[variable]

    def with_rivals(self, world: Iterable[Dependency], candidates: Sequence[Candidate]) -> list[Candidate]:
        """Packages, and those they speak of, which may rule each other out before one of them is tried."""
        items = [*world, *(item for candidate in candidates for item in candidate.depends)]
        spoken_of = [candidate for item in dict.fromkeys(items) for candidate in self.fitting(item)]
        return list(dict.fromkeys([*candidates, *spoken_of]))

    def binds(self, candidate: Candidate) -> bool:
        """Whether the items of a package count."""
        return self._required is None or candidate in self._required

    def _load(self, domain: int) -> Iterator[Clause]:
        """Clauses that matter once a package of a domain is there, or a world item binds."""
        for variable in reversed(self._members.get(domain, ())):  # as they are tried: newest first
            candidate = self.candidates[variable]
            self.tried.append(candidate)
            yield from self._package(candidate, variable)
        item = self._world_items.get(self._switch_of.get(domain, 0))
        if item is not None:
            yield from self._item(item, self.solver.without(self._switch_of[domain]), None)

    def _switch(self, fact: Fact) -> Clause:
        """Literal that is false while the fact is switched on."""
        found = self._fact_switches.get(fact)
        if found is None:
            found = self._fact_switches[fact] = self.solver.variable()
            self.facts[found] = fact
        return [self.solver.without(found)]

    def _package(self, candidate: Candidate, variable: int) -> Iterator[Clause]:
        without = self.solver.without(variable)
        reason = candidate.unusable or ("" if candidate.reachable else "unavailable")
        if reason:
            fact = Fact(reason, candidate.record.name_version, candidate.defect)
            yield [*(self._switch(fact) if self._explain else ()), without]
            return
        for item in candidate.depends:
            yield from self._item(item, without, candidate)
        yield from self._names(candidate, without)
        callers = self.supported.get(candidate)
        if callers is not None:
            fact = Fact("virtual-unselectable", candidate.record.name_version, candidate.name)
            joining = self.joining.get(candidate)
            givers = [*((joining,) if joining else ()), *callers]
            clause = self.solver.clause(givers)
            if self._explain:
                (switch,) = self._switch(fact)
                clause.append(switch)
                givers.append(-self._fact_switches[fact])
            self._grants[variable] = givers
            yield _either(without, clause)

    def _item(self, item: Dependency, given: Allowed, owner: Candidate | None) -> Iterator[Clause]:
        """What an item asks, `given` that its owner is there."""
        spoken_of = self._spoken_of(item)
        switch = self._switch(self._item_fact(item, owner, self.fitting(item))) if self._explain else []
        if not item.conflict:
            yield _either(given, [*switch, *spoken_of])
            return
        for number, bits in spoken_of:
            if number != given[0]:  # no package is in its own way, and no other one of its name can be there
                yield [given, *switch, (number, self.solver.full(number) & ~bits)]

    def _item_fact(self, item: Dependency, owner: Candidate | None, fitting: Iterable[Candidate]) -> Fact:
        about = owner.record.name_version if owner else ""
        by = " ".join(sorted(candidate.record.name_version for candidate in fitting))
        if item.conflict:
            return Fact("conflict", about, str(item), by)
        if by:
            return Fact("depends", about, str(item), by)
        providers = {provide.candidate.record.name_version for provide in self.universe.name(item.name).providers}
        return Fact("version" if providers else "no-such-package", about, str(item), " ".join(sorted(providers)))

    def _names(self, candidate: Candidate, without: Allowed) -> Iterator[Clause]:
        """At most one package owns a name, unless all share it unversioned; a name given twice, one of them with a version,
        makes a package conflict with itself (§9)."""
        owned: dict[str, str] = {}
        for text, version in ((candidate.name, candidate.record.version), *candidate.provides):
            if text in owned and (version or owned[text]):
                fact = Fact("exclusive-name", text, "provided twice", candidate.record.name_version)
                yield [without, *(self._switch(fact) if self._explain else ())]
            owned[text] = owned.get(text) or version
        for text, version in owned.items():
            rivals = [each for each in self._owning(text)[bool(version)] if each[0] != without[0]]
            prefix = self._switch(self._name_fact(self.universe.name(text))) if self._explain and rivals else []
            for number, bits in rivals:
                yield [without, *prefix, (number, self.solver.full(number) & ~bits)]

    def _owning(self, text: str) -> tuple[tuple[Allowed, ...], tuple[Allowed, ...]]:
        """Who owns a name with a version, and everybody who owns it."""
        found = self._owners.get(text)
        if found is None:
            providers = [each for each in self.universe.name(text).providers if each.candidate in self.variables]
            versioned = dict.fromkeys(each.candidate for each in providers if each.version)
            everybody = dict.fromkeys(each.candidate for each in providers)
            found = self._owners[text] = self._literals(versioned), self._literals(everybody)
        return found

    def _name_fact(self, name: Name) -> Fact:
        owners = {each.candidate.record.name_version for each in name.providers if each.candidate in self.variables}
        return Fact("exclusive-name", name.text, "", " ".join(sorted(owners)))

    def _tags(self, calling: Callers) -> None:
        """A package that only tagged repositories have needs the tag from the world or from who depends on it (§10.2)."""
        pinned = [candidate for candidate in self.variables if not (candidate.always_allowed or candidate.tags & UNTAGGED)]
        callers: dict[Candidate, list[Candidate]] = {}
        pending = list(pinned)
        while pending:
            candidate = pending.pop()
            if candidate not in callers:
                callers[candidate] = calling.depending_on(candidate, self.fitting)
                pending += callers[candidate]
        bits = list(self.universe.tags.values())
        holds = {(candidate, bit): self.solver.variable() for candidate in self.variables if candidate in callers for bit in bits}
        grants = {(candidate, bit): [holds[owner, bit] for owner in callers[candidate]] for candidate, bit in holds}
        for item, switch in zip(self.world, self.switches, strict=True):
            bit = self.universe.tags.get(item.tag, 0)
            for candidate in self.fitting(item) if bit and not item.conflict else ():
                if (candidate, bit) in grants:
                    grants[candidate, bit].append(switch)
        for (candidate, bit), givers in grants.items():
            held = holds[candidate, bit]
            self.solver.add([-held, self.variables[candidate]])
            self.solver.add([-held, *givers])
            self._grants[held] = givers
        for candidate in pinned:
            fact = Fact("tag", candidate.record.name_version, " ".join(f"@{tag}" for _, tag in candidate.repositories))
            literals = [holds[candidate, bit] for bit in bits if candidate.tags & bit]
            clause = self.solver.clause([-self.variables[candidate], *literals])
            self.solver.add_clause([*clause, *(self._switch(fact) if self._explain else ())])


def _either(given: Allowed, others: Iterable[Allowed]) -> Clause:
    """A clause of a package's literal and others, of which some may be about the same domain."""
    clause = [given]
    for literal in others:
        if literal[0] == given[0]:
            clause[0] = (given[0], clause[0][1] | literal[1])
        else:
            clause.append(literal)
    return clause
