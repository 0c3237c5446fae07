"""Who calls for whom, as must be said of packages that an item could take without being enough to pick them (spec apk.md §9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.solver.universe import Candidate, Name, Provide, Universe


class Callers:
    """Looks at the items of a world and of the packages that it can reach."""

    def __init__(
        self,
        universe: Universe,
        world_items: Mapping[int, Dependency],
        askers: Mapping[str, Sequence[Candidate]],
        variables: Mapping[Candidate, int],
    ) -> None:
        """`world_items`: literal that switches it on → item; `askers`: name → packages that depend on it."""
        self._universe = universe
        self._world_items = world_items
        self._askers = askers
        self._variables = variables
        self._asked = {item.name for item in world_items.values() if not item.conflict}

    def supported(self, candidates: Mapping[int, Candidate]) -> dict[Candidate, list[int]]:
        """Packages that some item could take without being enough to pick them, and those that call for such packages, in
        order of discovery.  Of all others no solution without surplus has one that nothing calls for."""
        doubtful = [candidate for candidate in self._variables if candidate.provides and self._is_doubtful(candidate)]
        callers: dict[Candidate, list[int]] = {}
        while doubtful:
            candidate = doubtful.pop()
            if candidate not in callers:
                found = callers[candidate] = self._callers(candidate)
                doubtful += [candidates[literal] for literal in found if literal in candidates]
        return {candidate: callers[candidate] for candidate in self._variables if candidate in callers} if callers else {}

    def _is_doubtful(self, candidate: Candidate) -> bool:
        return candidate.priority == 0 and any(
            not version and text != candidate.name and (text in self._asked or text in self._askers)
            for text, version in candidate.provides
        )

    def _callers(self, candidate: Candidate) -> list[int]:
        """Who asks for a package in a way that is enough to pick it: world items and packages."""
        found: dict[int, None] = {}
        for text in dict.fromkeys([candidate.name, *(text for text, _ in candidate.provides)]):
            name = self._universe.name(text)
            provides = [each for each in name.providers if each.candidate is candidate and may_be_picked(name, each)]
            if not provides:
                continue
            asking = [(switch, item) for switch, item in self._world_items.items() if item.name == text]
            asking += [
                (self._variables[owner], item)
                for owner in self._askers.get(text, ())
                for item in owner.depends
                if item.name == text
            ]
            for literal, item in asking:
                if not item.conflict and any(hits(item, each.version, candidate.identity) for each in provides):
                    found[literal] = None
        return list(found)

    def depending_on(self, candidate: Candidate, fitting: Callable[[Dependency], tuple[Candidate, ...]]) -> list[Candidate]:
        """Packages with a dependency that this one meets."""
        found: dict[Candidate, None] = {}
        for text in dict.fromkeys([candidate.name, *(text for text, _ in candidate.provides)]):
            for owner in self._askers.get(text, ()):
                if any(item.name == text and not item.conflict and candidate in fitting(item) for item in owner.depends):
                    found[owner] = None
        return list(found)


def may_be_picked(name: Name, provide: Provide) -> bool:
    """Whether a package may be chosen for this name alone: its own, a versioned one, or one with a priority (§9)."""
    return provide.candidate.name == name.text or bool(provide.version) or provide.candidate.priority != 0
