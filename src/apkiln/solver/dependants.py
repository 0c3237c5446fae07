"""Which installed packages depend on one of them, in the order of apk's reverse lists (see `name_table`).

A list belongs to a name and holds names, in the order of the table; a name stands there as soon as one package of it, installed
or in a repository, has an item on the listed name.  All installed packages of that name are then looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.solver.name_table import place
from apkiln.solver.universe import Candidate, Universe


class Dependants:
    """Looks at dependants among some packages; nothing is computed before the first question."""

    def __init__(self, universe: Universe, among: Collection[Candidate]) -> None:
        self._universe = universe
        self._among = among
        self._lists: dict[str, list[str]] | None = None

    def of(self, candidate: Candidate) -> list[Candidate]:
        """Those with an item that the package meets; a `!` item that does not hit it is met, too."""
        return [other for other in dict.fromkeys(self.listed(candidate)) if depends_on(self._universe, other, candidate)]

    def listed(self, candidate: Candidate) -> Iterator[Candidate]:
        """All packages in the reverse lists of its names, its own first: also those that do not depend on it, and some more
        than once."""
        if self._lists is None:
            self._lists = self._reverse_lists()
        for text in names_of(candidate):
            for listed in self._lists.get(text, ()):
                for provide in self._universe.name(listed).providers:
                    if provide.candidate in self._among and provide.candidate is not candidate:
                        yield provide.candidate

    def _reverse_lists(self) -> dict[str, list[str]]:
        lists: dict[str, list[str]] = {}
        listed = dict.fromkeys(text for candidate in self._among for text in names_of(candidate))
        for text in sorted(listed, key=place):
            providers = self._universe.name(text).providers
            for wanted in dict.fromkeys(item.name for provide in providers for item in provide.candidate.depends):
                lists.setdefault(wanted, []).append(text)
        return lists


def names_of(candidate: Candidate) -> list[str]:
    """Its own name and those it provides, each once."""
    return list(dict.fromkeys([candidate.name, *(text for text, _ in candidate.provides)]))


def depends_on(universe: Universe, other: Candidate, candidate: Candidate) -> bool:
    """Whether an item of `other` is met by `candidate`."""
    return any(_is_met(universe, item, candidate) for item in other.depends)


def _is_met(universe: Universe, item: Dependency, candidate: Candidate) -> bool:
    provides = [provide for provide in universe.name(item.name).providers if provide.candidate is candidate]
    return bool(provides) and any(hits(item, provide.version, candidate.identity) for provide in provides) != item.conflict
