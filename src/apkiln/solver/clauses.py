"""The rules of a valid set of packages as clauses (spec apk.md §9, §10.6): what must hold, not what is preferred.

One variable per package that the world can reach.  World items are switched on by assumption literals, so a subset of the
world can be asked about; when an explanation is wanted, the facts about packages get such switches, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.solver.grounding import circles
from apkiln.solver.satisfiability import ClauseSolver
from apkiln.solver.universe import UNTAGGED, Candidate, Name, Provide, Universe


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
        self.solver = ClauseSolver(step_limit)
        self.variables: dict[Candidate, int] = {}
        """In order of discovery."""
        self.facts: dict[int, Fact] = {}
        """Switch literal → fact; empty unless explaining."""
        self._switches: dict[Fact, int] = {}
        self._explain = explain
        self._grants: dict[int, list[int]] = {}
        """Literal "a package is called for", or "a tag is allowed for a package" → literals that grant it."""
        self._names: dict[Name, None] = {}
        self._calls: dict[Candidate, list[tuple[Candidate | None, bool]]] = {}
        """Who asks for a package (None = the world) and whether it may be picked for that alone."""
        self.switches = [self.solver.variable() for _ in self.world]
        """One per world item, in order."""
        self.unasked = self.solver.variable()
        """Assume the negation, and every package must be called for by an item it may be picked for (§9)."""
        self._reach()
        for candidate in self.variables:
            self._package(candidate)
        for item, switch in zip(self.world, self.switches, strict=True):
            self._item(item, [-switch], None)
        for name in self._names:
            self._exclusive(name)
        if self.universe.tags:
            self._tags()

    def solve(self, assumptions: Sequence[int]) -> bool:
        """Whether the rules and assumptions can hold together; `solver.core` as usual on False.

        Needs and tags must come from the world, not from packages that give them to each other: such circles are cut as
        they appear.
        """
        while self.solver.solve(assumptions):
            found = circles(self._grants, self.solver.holds)
            if not found:
                return True
            for circle in found:
                outside = dict.fromkeys(giver for literal in circle for giver in self._grants[literal] if giver not in circle)
                for literal in sorted(circle):
                    self.solver.add([-literal, *sorted(outside)])
        return False

    # ---- which packages matter

    def _reach(self) -> None:
        pending = [item.name for item in self.world]
        seen = set(pending)
        while pending:
            name = self.universe.name(pending.pop())
            for candidate in dict.fromkeys([*(provide.candidate for provide in name.providers), *self._triggered_by(name)]):
                if candidate in self.variables:
                    continue
                self.variables[candidate] = self.solver.variable()
                for text in [
                    candidate.name,
                    *(text for text, _ in candidate.provides),
                    *(item.name for item in candidate.depends),
                ]:
                    self._names[self.universe.name(text)] = None
                    if text not in seen:
                        seen.add(text)
                        pending.append(text)

    def _triggered_by(self, name: Name) -> list[Candidate]:
        """Packages that mention `name` in install_if and whose other positive items are provided by something."""
        return [
            candidate
            for candidate in self.universe.mentioning(name.text)
            if all(item.conflict or item.name == name.text or self._known(item.name) for item in candidate.install_if)
        ]

    def _known(self, text: str) -> bool:
        return any(provide.candidate in self.variables for provide in self.universe.name(text).providers)

    # ---- rules

    def _switch(self, fact: Fact) -> list[int]:
        """Literal that is false while the fact is switched on; none when nothing is to be explained."""
        if not self._explain:
            return []
        found = self._switches.get(fact)
        if found is None:
            found = self._switches[fact] = self.solver.variable()
            self.facts[found] = fact
        return [-found]

    def _package(self, candidate: Candidate) -> None:
        variable = self.variables[candidate]
        reason = candidate.unusable or ("" if candidate.reachable else "unavailable")
        if reason:
            fact = Fact(reason, candidate.record.name_version, candidate.defect)
            self.solver.add([*self._switch(fact), -variable])
            return
        for item in candidate.depends:
            self._item(item, [-variable], candidate)
        self._own_names(candidate, variable)

    def _own_names(self, candidate: Candidate, variable: int) -> None:
        """A name given twice, one of them with a version, makes a package conflict with itself (§9)."""
        owned: dict[str, str] = {candidate.name: candidate.record.version}
        for text, version in candidate.provides:
            if text in owned and (version or owned[text]):
                fact = Fact("exclusive-name", text, "provided twice", candidate.record.name_version)
                self.solver.add([*self._switch(fact), -variable])
            owned.setdefault(text, version)

    def _item(self, item: Dependency, prefix: list[int], owner: Candidate | None) -> None:
        name = self.universe.name(item.name)
        fitting: dict[Candidate, None] = {}
        for provide in name.providers:
            candidate = provide.candidate
            if candidate in self.variables and hits(item, provide.version, candidate.identity):
                fitting[candidate] = None
                if not item.conflict:
                    self._calls.setdefault(candidate, []).append((owner, may_be_picked(name, provide)))
        prefix = [*prefix, *self._switch(self._item_fact(item, owner, fitting))]
        if not item.conflict:
            self.solver.add([*prefix, *(self.variables[candidate] for candidate in fitting)])
            return
        for candidate in fitting:
            if candidate is not owner:
                self.solver.add([*prefix, -self.variables[candidate]])

    def _item_fact(self, item: Dependency, owner: Candidate | None, fitting: Iterable[Candidate]) -> Fact:
        about = owner.record.name_version if owner else ""
        by = " ".join(sorted(candidate.record.name_version for candidate in fitting))
        if item.conflict:
            return Fact("conflict", about, str(item), by)
        if by:
            return Fact("depends", about, str(item), by)
        providers = {provide.candidate.record.name_version for provide in self.universe.name(item.name).providers}
        return Fact("version" if providers else "no-such-package", about, str(item), " ".join(sorted(providers)))

    def support(self) -> None:
        """Every package is called for by an item it may be picked for by itself, unless `unasked` holds.

        That needs saying only of packages that some item could take without being enough to pick them, and of those that
        call for such packages; of all others no solution without surplus has one that nothing calls for.
        """
        callers = {candidate: self._callers(candidate) for candidate in self.variables}
        doubtful = [candidate for candidate, calls in self._calls.items() if not all(alone for _, alone in calls)]
        for candidate in self._closed(doubtful, callers):
            calls = callers[candidate]
            if None in calls:
                continue
            variable = self.variables[candidate]
            fact = Fact("virtual-unselectable", candidate.record.name_version, candidate.name)
            literals = [self.variables[owner] for owner in calls if owner is not None]
            self.solver.add([*self._switch(fact), -variable, self.unasked, *literals])
            self._grants[variable] = [self.unasked, *literals]

    def _callers(self, candidate: Candidate) -> list[Candidate | None]:
        """Who asks for a package in a way that is enough to pick it; None = the world."""
        return list(dict.fromkeys(owner for owner, alone in self._calls.get(candidate, ()) if alone))

    def _closed(self, some: Iterable[Candidate], callers: Mapping[Candidate, Sequence[Candidate | None]]) -> Sequence[Candidate]:
        """`some` and whoever calls for them, directly or not, in order of discovery."""
        reached = set(some)
        pending = list(reached)
        while pending:
            for owner in callers[pending.pop()]:
                if owner is not None and owner not in reached:
                    reached.add(owner)
                    pending.append(owner)
        return [candidate for candidate in self.variables if candidate in reached]

    def _exclusive(self, name: Name) -> None:
        """At most one package owns a name, unless all share it unversioned (§9)."""
        owners: dict[Candidate, bool] = {}
        for provide in name.providers:
            if provide.candidate in self.variables:
                owners[provide.candidate] = owners.get(provide.candidate, False) or bool(provide.version)
        owning = [self.variables[candidate] for candidate, versioned in owners.items() if versioned]
        sharing = [self.variables[candidate] for candidate, versioned in owners.items() if not versioned]
        if len(owning) + bool(sharing) < 2:
            return
        by = " ".join(sorted(candidate.record.name_version for candidate in owners))
        prefix = self._switch(Fact("exclusive-name", name.text, "", by))
        taken = self.solver.variable()
        for variable in owning:
            self.solver.add([*prefix, -variable, taken])
        for variable in sharing:
            self.solver.add([*prefix, -variable, -taken])
        self._at_most_one(owning, prefix)

    def _at_most_one(self, variables: Sequence[int], prefix: list[int]) -> None:
        """A ladder: linear in the number of variables."""
        before = 0
        for variable in variables:
            if before:
                self.solver.add([*prefix, -before, -variable])
            following = self.solver.variable()
            self.solver.add([*prefix, -variable, following])
            if before:
                self.solver.add([*prefix, -before, following])
            before = following

    def _tags(self) -> None:
        """A package that only tagged repositories have needs the tag from the world or from who depends on it (§10.2)."""
        callers: dict[Candidate, list[Candidate]] = {candidate: [] for candidate in self.variables}
        for owner in self.variables:
            for candidate in dict.fromkeys(fit for item in owner.depends if not item.conflict for fit in self._fitting(item)):
                callers[candidate].append(owner)
        pinned = [candidate for candidate in self.variables if not (candidate.always_allowed or candidate.tags & UNTAGGED)]
        concerned = self._closed(pinned, callers)
        holds = {(candidate, bit): self.solver.variable() for candidate in concerned for bit in self.universe.tags.values()}
        grants = {(candidate, bit): [holds[owner, bit] for owner in callers[candidate]] for candidate, bit in holds}
        for item, switch in zip(self.world, self.switches, strict=True):
            bit = self.universe.tags.get(item.tag, 0)
            if bit and not item.conflict:
                for candidate in self._fitting(item):
                    if (candidate, bit) in grants:
                        grants[candidate, bit].append(switch)
        for (candidate, bit), givers in grants.items():
            held = holds[candidate, bit]
            self.solver.add([-held, self.variables[candidate]])
            self.solver.add([-held, *givers])
            self._grants[held] = givers
        for candidate in pinned:
            fact = Fact("tag", candidate.record.name_version, " ".join(f"@{tag}" for _, tag in candidate.repositories))
            bits = [bit for bit in self.universe.tags.values() if candidate.tags & bit]
            literals = [holds[candidate, bit] for bit in bits]
            self.solver.add([*self._switch(fact), -self.variables[candidate], *literals])

    def _fitting(self, item: Dependency) -> Iterable[Candidate]:
        for provide in self.universe.name(item.name).providers:
            if provide.candidate in self.variables and hits(item, provide.version, provide.candidate.identity):
                yield provide.candidate


def may_be_picked(name: Name, provide: Provide) -> bool:
    """Whether a package may be chosen for this name alone: its own, a versioned one, or one with a priority (§9)."""
    return provide.candidate.name == name.text or bool(provide.version) or provide.candidate.priority != 0
