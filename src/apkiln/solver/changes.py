"""From the chosen packages to an ordered list of changes (spec apk.md §10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.formats.apk.version import compare
from apkiln.solver.discovery import mentioning
from apkiln.solver.request import Wish
from apkiln.solver.solution import Change, ChangeKind, SelectedPackage
from apkiln.solver.universe import Candidate, Name, Universe

REINSTALL = int(Wish.REINSTALL)
Steps = Iterator["Steps"]
"""Work that yields the work to be done before it goes on: recursion without Python's stack."""


class ChangeList:
    """Builds the transaction: first what leaves and nobody needs, then world items in order, depth-first, dependencies before
    dependants, at last what is left of the installed set."""

    def __init__(self, universe: Universe, owners: Mapping[Name, Candidate]) -> None:
        self._universe = universe
        self._owners = owners
        """Which package of the solution answers to a name."""
        self._kept = set(owners.values())
        self._visited: set[Name] = set()
        self._done: set[Candidate] = set()
        self._going: set[Candidate] = set()
        """Packages whose purge has begun."""
        self._needed: dict[Candidate, int] = {}
        """How many items of present packages ask for an installed one."""
        self.changes: list[Change] = []

    def build(self, world: Sequence[Dependency]) -> list[Change]:
        for candidate in self._universe.installed:
            for _ in self._count(candidate, 1):
                pass
        for candidate in self._universe.installed:
            if self._leaves(candidate) and not self._needed.get(candidate, 0):
                self._run(self._purge(candidate))
        for item in world:
            self._walk(self._universe.name(item.name))
        for candidate in self._universe.installed:
            self._walk(self._universe.name(candidate.name))
        return self.changes

    def _walk(self, name: Name) -> None:
        self._run(self._visit(name))

    @staticmethod
    def _run(steps: Steps) -> None:
        stack: list[Steps] = [steps]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
            else:
                stack.append(following)

    def _visit(self, name: Name) -> Steps:
        """Emit what concerns `name`; yields what must come first."""
        if name in self._visited:
            return
        self._visited.add(name)
        yield self._removals(name)
        owner = self._owners.get(name)
        if owner is None or owner in self._done:
            return
        self._done.add(owner)
        for text in _names_of(owner):
            other = self._universe.name(text)
            yield self._removals(other)
            self._visited.add(other)
        for item in owner.depends:
            yield self._visit(self._universe.name(item.name))
        yield self._emit(owner)
        yield self._completed(owner)

    def _removals(self, name: Name) -> Steps:
        """Purge installed packages under `name` that have no place in the solution."""
        for provide in name.providers:
            if self._leaves(provide.candidate):
                yield self._purge(provide.candidate)

    def _leaves(self, candidate: Candidate) -> bool:
        """Whether an installed package goes without a newer or older one of its name taking its place."""
        if candidate.installed is None or candidate in self._kept or candidate in self._done:
            return False
        replacement = self._owners.get(self._universe.name(candidate.name))
        return replacement is None or replacement.name != candidate.name

    def _purge(self, candidate: Candidate) -> Steps:
        """Dependants that also leave go first; then the package; then what it was the last to need."""
        if candidate in self._done:
            return
        if candidate not in self._going:
            self._going.add(candidate)
            names = set(_names_of(candidate))
            for other in reversed(self._universe.installed):
                if self._leaves(other) and other not in self._going and self._depends_on(other, candidate, names):
                    yield self._purge(other)
        if candidate in self._done:
            return
        self._done.add(candidate)
        assert candidate.installed is not None, "only installed packages are purged"
        self.changes.append(Change(ChangeKind.PURGE, candidate.installed, None))
        yield self._released(candidate)

    def _depends_on(self, other: Candidate, candidate: Candidate, names: set[str]) -> bool:
        if any(not item.conflict and item.name in names for item in other.depends):
            return True
        if self._needed.get(other, 0) or not any(item.name in names for item in other.install_if):
            return False
        return all(self._held(item) for item in other.install_if)

    def _held(self, item: Dependency) -> bool:
        """Whether an item is met by what was installed before."""
        for provide in self._universe.name(item.name).providers:
            if provide.candidate.installed is not None and hits(item, provide.version, provide.candidate.identity):
                return not item.conflict
        return item.conflict

    def _count(self, candidate: Candidate, difference: int) -> Iterator[Candidate]:
        """Enter or withdraw what a package needs of installed ones; yields those nobody needs any more."""
        for item in candidate.depends:
            if item.conflict:
                continue
            for provide in self._universe.name(item.name).providers:
                needed = provide.candidate
                if needed.installed is not None:
                    self._needed[needed] = self._needed.get(needed, 0) + difference
                    if self._needed[needed] == 0:
                        yield needed

    def _released(self, old: Candidate) -> Steps:
        """Purge what nobody needs now that `old` is gone."""
        for candidate in self._count(old, -1):
            if self._leaves(candidate):
                yield self._purge(candidate)

    def _emit(self, candidate: Candidate) -> Steps:
        own = self._universe.name(candidate.name)
        old = own.installed
        change = self._change(candidate, old)
        if change is not None:
            self.changes.append(change)
        if old is not candidate:
            for _ in self._count(candidate, 1):
                pass
            if old is not None:
                yield self._released(old)

    def _change(self, candidate: Candidate, old: Candidate | None) -> Change | None:
        selected = select(self._universe, candidate)
        if old is None:
            return Change(ChangeKind.INSTALL, None, selected)
        if old is candidate:
            if candidate.wish & REINSTALL:
                return Change(ChangeKind.REINSTALL, old.installed, selected)
            assert old.installed is not None
            if old.installed.repository_tag not in ("", selected.tag) and candidate.repositories:
                return Change(ChangeKind.RETAG, old.installed, selected)
            return None
        order = compare(candidate.record.version, old.record.version)
        kind = ChangeKind.UPGRADE if order > 0 else ChangeKind.DOWNGRADE if order < 0 else ChangeKind.REPLACE
        return Change(kind, old.installed, selected)

    def _completed(self, candidate: Candidate) -> Steps:
        """Names of install_if packages whose items are all visited now."""
        names = [self._universe.name(text) for text in _names_of(candidate)]
        for name in names:
            for other in mentioning(self._universe, name):
                owner = self._owners.get(other)
                if owner is None or owner in self._done:
                    continue
                if all(self._met(item) for item in owner.install_if):
                    yield self._visit(other)

    def _met(self, item: Dependency) -> bool:
        name = self._universe.name(item.name)
        owner = self._owners.get(name)
        if owner is None:
            return item.conflict
        if owner not in self._done and not item.conflict:
            return False
        return (
            any(provide.candidate is owner and hits(item, provide.version, owner.identity) for provide in name.providers)
            != item.conflict
        )


def select(universe: Universe, candidate: Candidate) -> SelectedPackage:
    """The repository a package is taken from: the first one whose tag is allowed; an untagged one needs no pin."""
    for number, tag in candidate.repositories:
        if not tag:
            return SelectedPackage(candidate.record, number)
    for number, tag in candidate.repositories:
        if universe.tags[tag] & candidate.allowed_tags:
            return SelectedPackage(candidate.record, number, tag)
    tag = candidate.installed.repository_tag if candidate.installed else ""
    return SelectedPackage(candidate.record, -1, tag)


def _names_of(candidate: Candidate) -> list[str]:
    return [candidate.name, *(text for text, _ in candidate.provides)]
