"""From the chosen packages to an ordered list of changes (spec apk.md §10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.formats.apk.version import compare
from apkiln.solver.request import Wish
from apkiln.solver.solution import Change, ChangeKind, SelectedPackage
from apkiln.solver.universe import UNTAGGED, Candidate, Name, Universe

REINSTALL = int(Wish.REINSTALL)


class ChangeList:
    """Builds the transaction: world items in order, depth-first, dependencies before dependants."""

    def __init__(self, universe: Universe, owners: Mapping[Name, Candidate]) -> None:
        self._universe = universe
        self._owners = owners
        """Which package of the solution answers to a name."""
        self._kept = set(owners.values())
        self._visited: set[Name] = set()
        self._done: set[Candidate] = set()
        self._needed: dict[Name, int] = {}
        """How many installed packages still need a name."""
        self.changes: list[Change] = []

    def build(self, world: Sequence[Dependency]) -> list[Change]:
        for candidate in self._universe.installed:
            for item in candidate.depends:
                if not item.conflict:
                    name = self._universe.name(item.name)
                    self._needed[name] = self._needed.get(name, 0) + 1
        for item in world:
            self._walk(self._universe.name(item.name))
        for candidate in self._universe.installed:
            self._walk(self._universe.name(candidate.name))
        return self.changes

    def _walk(self, name: Name) -> None:
        stack = [self._visit(name)]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
            else:
                stack.append(self._visit(following))

    def _visit(self, name: Name) -> Iterator[Name]:
        """Emit what concerns `name`; yields names to be visited first."""
        if name in self._visited:
            return
        self._visited.add(name)
        owner = self._owners.get(name)
        yield from self._removals(name)
        if owner is None:
            return
        for text in _names_of(owner):
            yield from self._removals(self._universe.name(text))
        if owner in self._done:
            return
        self._done.add(owner)
        for text in _names_of(owner):
            self._visited.add(self._universe.name(text))
        for item in owner.depends:
            yield self._universe.name(item.name)
        yield from self._emit(owner)
        yield from self._completed(owner)

    def _removals(self, name: Name) -> Iterator[Name]:
        for provide in name.providers:
            candidate = provide.candidate
            if candidate.installed is None or candidate in self._kept or candidate in self._done:
                continue
            own = self._universe.name(candidate.name)
            replacement = self._owners.get(own)
            if replacement is not None and replacement.name == candidate.name:
                continue
            self._done.add(candidate)
            self.changes.append(Change(ChangeKind.PURGE, candidate.installed, None))
            yield from self._released(candidate, None)

    def _released(self, old: Candidate, new: Candidate | None) -> Iterator[Name]:
        """Names that lose their last requirer when `old` goes (in favour of `new`)."""
        if new is not None:
            for item in new.depends:
                if not item.conflict:
                    name = self._universe.name(item.name)
                    self._needed[name] = self._needed.get(name, 0) + 1
        for item in old.depends:
            if not item.conflict:
                name = self._universe.name(item.name)
                self._needed[name] -= 1
                if self._needed[name] == 0:
                    yield name

    def _emit(self, candidate: Candidate) -> Iterator[Name]:
        own = self._universe.name(candidate.name)
        old = own.installed
        change = self._change(candidate, old)
        if change is not None:
            self.changes.append(change)
        if old is not None and old is not candidate:
            yield from self._released(old, candidate)
        elif old is None:
            for item in candidate.depends:
                if not item.conflict:
                    name = self._universe.name(item.name)
                    self._needed[name] = self._needed.get(name, 0) + 1

    def _change(self, candidate: Candidate, old: Candidate | None) -> Change | None:
        selected = select(self._universe, candidate)
        if old is None:
            return Change(ChangeKind.INSTALL, None, selected)
        if old is candidate:
            if candidate.wish & REINSTALL:
                return Change(ChangeKind.REINSTALL, old.installed, selected)
            assert old.installed is not None
            if old.installed.repository_tag != selected.tag and candidate.repositories:
                return Change(ChangeKind.RETAG, old.installed, selected)
            return None
        order = compare(candidate.record.version, old.record.version)
        kind = ChangeKind.UPGRADE if order > 0 else ChangeKind.DOWNGRADE if order < 0 else ChangeKind.REPLACE
        return Change(kind, old.installed, selected)

    def _completed(self, candidate: Candidate) -> Iterator[Name]:
        """Names of install_if packages whose items are all visited now."""
        names = [self._universe.name(text) for text in _names_of(candidate)]
        for name in names:
            for other in name.reverse_install_if:
                owner = self._owners.get(other)
                if owner is None or owner in self._done:
                    continue
                if all(self._met(item) for item in owner.install_if):
                    yield other

    def _met(self, item: Dependency) -> bool:
        name = self._universe.name(item.name)
        owner = self._owners.get(name)
        if owner is None:
            return item.conflict
        if owner not in self._done and not item.conflict:
            return False
        return any(
            provide.candidate is owner and hits(item, provide.version, owner.identity) for provide in name.providers
        ) != item.conflict


def select(universe: Universe, candidate: Candidate) -> SelectedPackage:
    """The repository a package is taken from: the first one whose tag is allowed; an untagged one needs no pin."""
    if candidate.tags & UNTAGGED:
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
