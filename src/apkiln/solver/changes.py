"""From the chosen packages to an ordered list of changes (spec apk.md §10.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.formats.apk.version import compare
from apkiln.solver.dependants import Dependants, names_of
from apkiln.solver.discovery import mentioning
from apkiln.solver.request import Wish
from apkiln.solver.solution import Change, ChangeKind, SelectedPackage
from apkiln.solver.universe import UNTAGGED, Candidate, Name, Universe

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
        """How many items of present packages ask for an installed one by a name it owns."""
        self._dependants = Dependants(universe, {each for each in universe.installed if self._leaves(each)})
        self.changes: list[Change] = []

    def build(self, world: Sequence[Dependency]) -> list[Change]:
        for candidate in self._universe.installed:
            for _ in self._count(candidate, 1):
                pass
        for candidate in self._universe.installed:
            if not self._is_owned(candidate) and self._leaves(candidate) and not self._needed.get(candidate, 0):
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
        for text in names_of(owner):
            other = self._universe.name(text)
            yield self._removals(other)
            self._visited.add(other)
        for item in owner.depends:
            yield self._visit(self._universe.name(item.name))
        old = self._emit(owner)
        yield self._completed(owner)
        if old is not None:
            yield self._released(old)

    def _removals(self, name: Name) -> Steps:
        """Purge what leaves the name to another owner.  A package whose own name has a new owner, too, goes when that name is
        looked at."""
        if name.installed is not None and self._leaves(name.installed):
            yield self._purge(name.installed)
        for provide in name.providers:
            if self._leaves(provide.candidate) and not self._is_owned(provide.candidate):
                yield self._purge(provide.candidate)

    def _is_owned(self, candidate: Candidate) -> bool:
        return self._universe.name(candidate.name) in self._owners

    def _leaves(self, candidate: Candidate) -> bool:
        """Whether an installed package goes without a newer or older one of its name taking its place."""
        if candidate.installed is None or candidate in self._kept or candidate in self._done:
            return False
        replacement = self._owners.get(self._universe.name(candidate.name))
        return replacement is None or replacement.name != candidate.name

    def _purge(self, candidate: Candidate) -> Steps:
        """Dependants that also leave go first; then the package; then what it was the last to need."""
        if candidate in self._going:
            return
        self._going.add(candidate)
        for other in self._dependants.of(candidate):
            yield self._purge(other)
        for text in names_of(candidate):
            for name in mentioning(self._universe, self._universe.name(text)):
                if name.installed is not None and self._is_triggered_leftover(name.installed):
                    yield self._purge(name.installed)
        self._done.add(candidate)
        assert candidate.installed is not None, "only installed packages are purged"
        self.changes.append(Change(ChangeKind.PURGE, candidate.installed, None))
        yield self._released(candidate)

    def _is_triggered_leftover(self, candidate: Candidate) -> bool:
        """Whether an installed package that nobody needs came by install_if with something that goes now."""
        if not self._leaves(candidate) or self._needed.get(candidate, 0):
            return False
        return any(self._universe.name(item.name).installed in self._going for item in candidate.install_if)

    def _count(self, candidate: Candidate, difference: int) -> Iterator[Candidate]:
        """Enter or withdraw what a package needs of installed ones, whatever version it asks for; yields those of the needed
        name itself that nobody needs any more.  Of several installed owners of a name the last one counts."""
        for item in candidate.depends:
            needed = None if item.conflict else self._owner_before(item.name)
            if needed is not None:
                self._needed[needed] = self._needed.get(needed, 0) + difference
                if self._needed[needed] == 0 and needed.name == item.name:
                    yield needed

    def _owner_before(self, text: str) -> Candidate | None:
        """The installed package that owns a name: its own, or provided with a version."""
        owners = [
            provide.candidate
            for provide in self._universe.name(text).providers
            if provide.version and provide.candidate.installed is not None
        ]
        return owners[-1] if owners else None

    def _released(self, old: Candidate) -> Steps:
        """Purge what nobody needs now that `old` is gone."""
        for candidate in self._count(old, -1):
            if self._leaves(candidate):
                yield self._purge(candidate)

    def _emit(self, candidate: Candidate) -> Candidate | None:
        """Returns the package that was replaced."""
        old = self._universe.name(candidate.name).installed
        change = self._change(candidate, old)
        if change is not None:
            self.changes.append(change)
        if old is candidate:
            return None
        for _ in self._count(candidate, 1):
            pass
        return old

    def _change(self, candidate: Candidate, old: Candidate | None) -> Change | None:
        selected = select(self._universe, candidate)
        if old is None:
            return Change(ChangeKind.INSTALL, None, selected)
        if old is candidate:
            if candidate.wish & REINSTALL:
                return Change(ChangeKind.REINSTALL, old.installed, selected)
            assert old.installed is not None
            if old.installed.repository_tag != selected.tag:
                return Change(ChangeKind.RETAG, old.installed, selected)
            return None
        order = compare(candidate.record.version, old.record.version)
        kind = ChangeKind.UPGRADE if order > 0 else ChangeKind.DOWNGRADE if order < 0 else ChangeKind.REPLACE
        return Change(kind, old.installed, selected)

    def _completed(self, candidate: Candidate) -> Steps:
        """Names of install_if packages whose items are all visited now."""
        names = [self._universe.name(text) for text in names_of(candidate)]
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
    """The repository a package is taken from: an untagged one, else one whose tag is allowed, else the first.  A package that
    an untagged repository has, or that was installed from one, needs no pin."""
    tag = _pin(universe, candidate)
    numbers = {repository_tag: number for number, repository_tag in reversed(candidate.repositories)}
    first = candidate.repositories[0][0] if candidate.repositories else -1
    return SelectedPackage(candidate.record, numbers.get("", numbers.get(tag, first)), tag)


def _pin(universe: Universe, candidate: Candidate) -> str:
    if candidate.tags & UNTAGGED:
        return ""
    return next((tag for tag, bit in universe.tags.items() if candidate.tags & bit & candidate.allowed_tags), "")
