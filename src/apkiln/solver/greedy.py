"""apk's own way through the decisions: one forward pass, without going back (spec apk.md §10.2).

discover → apply the world → repeat { propagate what changed; decide one name }.  Each rule is described in the table
"details that decide equality with the peer"; the letters in comments are its rows.  A run owns its universe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from apkiln.formats.apk.dependency import Dependency, hits
from apkiln.solver.discovery import discover
from apkiln.solver.preference import AVAILABLE, is_better
from apkiln.solver.universe import UNTAGGED, Candidate, Name, Provide, Universe

READY, SELECTABLE, OTHER = "A", "B", "C"


def sorted_world(world: Iterable[Dependency], *, file_order: bool = False) -> list[Dependency]:
    """By name, case-insensitive and then bytewise (§10.2 step 1).

    Items of one name: in the given order with `file_order`, as apk has them; otherwise those with a tag last, then by text,
    so that the order they were given in has no meaning.
    """
    if file_order:
        return sorted(world, key=lambda item: (item.name.lower(), item.name))
    return sorted(world, key=lambda item: (item.name.lower(), item.name, bool(item.tag), str(item)))


class GreedyRun:
    """One pass.  After `run`, `errors` is the number of contradictions; the choices stand in `Name.chosen`."""

    def __init__(self, universe: Universe, world: Sequence[Dependency], named: frozenset[str]) -> None:
        """`world` in the order of `sorted_world`."""
        self.universe = universe
        self.world = list(world)
        self.named = named
        self.failed: list[Candidate | Name] = []
        self.decisions = 0
        self._serial = 0
        self._dirty: deque[Name] = deque()
        self._ready: deque[Name] = deque()
        self._queues: dict[str, list[tuple[bool, bool, int, int, Name]]] = {SELECTABLE: [], OTHER: []}

    def run(self, *, partial: bool = False, whole: bool = True) -> None:
        """Decide everything.  `partial`: over what the world can need only, see `certainty`.  Not `whole`: no further than to
        the first error."""
        self.names = discover(self.universe, [item.name for item in self.world], partial=partial)
        for candidate in self.universe.candidates:
            candidate.selectable = not candidate.unusable and candidate.reachable
        for item in self.world:
            self._apply(item, None)
        while True:
            while self._dirty:
                name = self._dirty.popleft()
                name.dirty = False
                self._propagate(name)
            following = self._next() if whole or not self.failed else None
            if following is None:
                break
            self._decide(following)

    def errors(self) -> list[Candidate | Name]:
        """What went wrong: chosen packages something speaks against, and required names without a package."""
        bad: dict[Candidate | Name, None] = dict.fromkeys(self.failed)
        for name in self.universe.names:
            if name.chosen is not None and not (name.chosen.candidate.selectable and name.chosen.candidate.tag_allowed):
                bad[name.chosen.candidate] = None
            elif name.requirers and name.chosen is None:
                bad[name] = None
        return list(bad)

    @property
    def chosen(self) -> list[Candidate]:
        """Every chosen package once, in discovery order of names."""
        return list(dict.fromkeys(name.chosen.candidate for name in self.universe.names if name.chosen))

    # ---- constraints

    def _apply(self, item: Dependency, requirer: Candidate | None) -> None:
        """Take an item of the world (no requirer) or of a package as binding."""
        name = self.universe.name(item.name)
        if not item.conflict:
            name.requirers += 1
            if name.requirers == 1:
                self._first_requirer(name)
        tag = self.universe.tags.get(item.tag, 0) if item.tag else 0
        for provide in name.providers:
            candidate = provide.candidate
            hit = hits(item, provide.version, candidate.identity)
            if hit == item.conflict and not (item.conflict and candidate is requirer):
                self._disqualify(candidate)
            elif requirer is not None:
                self._inherit(candidate, requirer)
            else:
                candidate.allowed_tags |= tag
                candidate.preferred_tags = tag  # the last world item on one of its names decides

    def _inherit(self, candidate: Candidate, requirer: Candidate) -> None:
        candidate.wish |= requirer.inherited_wish
        candidate.inherited_wish |= requirer.inherited_wish
        candidate.allowed_tags |= requirer.allowed_tags

    def _first_requirer(self, name: Name) -> None:
        if not name.locked:
            self._enqueue(name)
        self._recheck_install_if(name)
        self._touch(name)

    def _touch(self, name: Name) -> None:
        if not (name.dirty or name.locked or (name.requirers == 0 and not name.check_install_if)):
            name.dirty = True
            self._dirty.append(name)

    def _disqualify(self, candidate: Candidate) -> None:
        candidate.conflicts += 1
        candidate.selectable = False
        self._recheck(self.universe.name(candidate.name))
        for provided_name, _ in candidate.provides:
            self._recheck(self.universe.name(provided_name))

    def _recheck(self, name: Name) -> None:
        """Something about the packages under `name` changed: look again at whom that may concern."""
        for other in name.reverse_depends:
            other.check_depends = True
            self._touch(other)
        self._recheck_install_if(name)

    def _recheck_install_if(self, name: Name) -> None:
        for other in name.reverse_install_if or ():
            if other.may_trigger:
                other.check_install_if = True
                self._touch(other)

    # ---- propagation of one name

    def _propagate(self, name: Name) -> None:
        if name.locked:
            return
        check_depends, check_install_if = name.check_depends, name.check_install_if
        name.check_depends = name.check_install_if = False
        if check_depends:
            for provide in name.providers:
                candidate = provide.candidate
                if candidate.selectable and not all(self._satisfiable(item, candidate) for item in candidate.depends):
                    self._disqualify(candidate)
        if check_install_if:
            name.may_trigger = False
            for provide in name.providers:
                if provide.candidate.selectable and provide.candidate.install_if:
                    name.may_trigger = True
                    self._check_install_if(name, provide.candidate)
        if name.requirers or name.triggers:
            self._narrow(name)
        self._enqueue(name)

    def _satisfiable(self, item: Dependency, candidate: Candidate) -> bool:
        name = self.universe.name(item.name)
        if name.locked:
            return self._fits(item, name.chosen, candidate)
        conflict = item.conflict
        if conflict and name.requirers == 0:
            return True
        for provide in name.providers:  # `_fits`, without a call for each
            other = provide.candidate
            if other.selectable and (
                (conflict and other is candidate) or hits(item, provide.version, other.identity) != conflict
            ):
                return True
        return False

    @staticmethod
    def _fits(item: Dependency, provide: Provide | None, owner: Candidate | None) -> bool:
        if provide is None:
            return item.conflict
        if item.conflict and provide.candidate is owner:
            return True
        return hits(item, provide.version, provide.candidate.identity) != item.conflict

    def _check_install_if(self, name: Name, candidate: Candidate) -> None:
        if candidate.triggered or candidate.failed_install_if:
            return
        for item in candidate.install_if:
            needed = self.universe.name(item.name)
            if not needed.locked:
                if item.conflict:
                    self._enqueue(needed, wanted=True)
                return
            if not self._fits(item, needed.chosen, candidate):
                candidate.failed_install_if = True
                return
        candidate.triggered = True
        for provided in [candidate.name, *(text for text, _ in candidate.provides)]:
            self.universe.name(provided).triggers += 1
        for item in candidate.install_if:
            needed = self.universe.name(item.name)
            if needed.chosen is not None:
                self._inherit(candidate, needed.chosen.candidate)

    def _narrow(self, name: Name) -> None:
        """What is common to all remaining candidates already binds."""
        distinct = list(dict.fromkeys(provide.candidate for provide in name.providers if provide.candidate.selectable))
        name.has_options = len(distinct) > 1 or any(not candidate.tag_allowed for candidate in distinct)
        if not distinct or not name.requirers:
            return
        for candidate in distinct:
            candidate.counted = True
        if len(distinct) == 1:
            self._apply_depends(distinct[0], conflicts=False)
        else:
            self._require_common(distinct)
        self._exclude_rivals(name, distinct)

    def _require_common(self, candidates: Sequence[Candidate]) -> None:
        common = dict.fromkeys(item.name for item in candidates[0].depends if not item.conflict)
        for candidate in candidates[1:]:
            if not common:
                return
            needed = {item.name for item in candidate.depends if not item.conflict}
            common = {text: None for text in common if text in needed}
        for text in common:
            name = self.universe.name(text)
            if name.requirers == 0:
                name.requirers = 1
                self._first_requirer(name)
                for provide in name.providers:
                    self._inherit(provide.candidate, candidates[0])

    def _exclude_rivals(self, name: Name, candidates: Sequence[Candidate]) -> None:
        """Names that every candidate owns leave no room for packages that do not answer to `name` (row e).

        Where some candidate owns it without a version, packages with an unversioned provide, of whatever name, are spared.
        """
        common = _owned(name, candidates[0])
        for candidate in candidates[1:]:
            owned = _owned(name, candidate)
            common = {text: versioned and owned[text] for text, versioned in common.items() if text in owned}
        for text, versioned in common.items():
            other = self.universe.name(text)
            if other.locked or other is name:
                continue
            for provide in other.providers:
                rival = provide.candidate
                if not rival.selectable or rival.name == name.text or rival.versions_of(name.text):
                    continue
                if versioned or all(version for _, version in rival.provides):
                    self._disqualify(rival)

    def _apply_depends(self, candidate: Candidate, *, conflicts: bool) -> None:
        """Apply the items of a package: the positive ones when it is the last candidate, all (again) when it is chosen.

        Whenever the last candidate is looked at again, what it needs gets the wishes and tags it has by then.
        """
        if candidate.applied and not conflicts:
            if candidate.inherited_wish or candidate.allowed_tags != UNTAGGED:
                self._hand_down(candidate)
            return
        candidate.applied = True
        for item in candidate.depends:
            if conflicts or not item.conflict:
                self._apply(item, candidate)

    def _hand_down(self, candidate: Candidate) -> None:
        for item in candidate.depends:
            if not item.conflict:
                for provide in self.universe.name(item.name).providers:
                    if hits(item, provide.version, provide.candidate.identity):
                        self._inherit(provide.candidate, candidate)

    # ---- decision

    def _enqueue(self, name: Name, *, wanted: bool = False) -> None:
        if name.locked or name.queue == READY:
            return
        auto = any(self._auto_selectable(name, provide) for provide in name.providers)
        decided = all(other.locked for other in name.reverse_depends)
        if name.requirers and decided and auto and not name.has_options and name.queue and not wanted:
            name.queue = READY
            self._ready.append(name)
            return
        if not (name.requirers or name.triggers or wanted or name.queue):
            return
        queue = SELECTABLE if auto else OTHER
        if name.queue != queue:
            name.queue = queue
            heappush(self._queues[queue], self._rank(name))

    def _rank(self, name: Name) -> tuple[bool, bool, int, int, Name]:
        self._serial += 1
        return (name.text not in self.named, not name.is_real, -name.number, self._serial, name)

    def _auto_selectable(self, name: Name, provide: Provide) -> bool:
        """For the queues a triggered install_if is enough under every name, also where the decision then finds nothing."""
        candidate = provide.candidate
        return candidate.selectable and (candidate.triggered or (name.requirers > 0 and self._may_be_picked(name, provide)))

    def _may_be_picked(self, name: Name, provide: Provide) -> bool:
        candidate = provide.candidate
        return bool(
            candidate.name == name.text or provide.version or candidate.priority or self.universe.name(candidate.name).requirers
        )

    def _next(self) -> Name | None:
        while self._ready:
            name = self._ready.popleft()
            if not name.locked:
                return name
        for queue in (SELECTABLE, OTHER):
            heap = self._queues[queue]
            while heap:
                name = heappop(heap)[-1]
                if not name.locked and name.queue == queue:
                    return name
        return None

    def _decide(self, name: Name) -> None:
        self.decisions += 1
        best: Provide | None = None
        for provide in name.providers:
            candidate = provide.candidate
            if name.requirers == 0 and not self._may_come_unasked(candidate):
                continue
            if not self._may_be_picked(name, provide):
                continue
            if best is None or is_better(provide, best, name):
                best = provide
        if best is None:
            self._lock(name, None)
            if name.requirers:
                self.failed.append(name)
            return
        self._choose(name, best)

    @staticmethod
    def _may_come_unasked(candidate: Candidate) -> bool:
        """Whether a triggered install_if is enough; `--available` does not keep what no repository has."""
        if not (candidate.triggered and candidate.selectable and candidate.tag_allowed):
            return False
        return candidate.available or not candidate.wish & AVAILABLE

    def _choose(self, name: Name, provide: Provide) -> None:
        candidate = provide.candidate
        if not candidate.selectable or not candidate.tag_allowed:
            self.failed.append(candidate)
        for text in dict.fromkeys([candidate.name, *(text for text, _ in candidate.provides)]):
            owned = self.universe.name(text)
            for entry in owned.providers:
                if entry.candidate is candidate:
                    self._own(owned, entry)
        if name.requirers == 0:
            for item in candidate.install_if:
                if not self.universe.name(item.name).locked:
                    self._apply(item, candidate)
        self._apply_depends(candidate, conflicts=True)

    def _own(self, name: Name, provide: Provide) -> None:
        """Give `name` to a package; a second owner is an error for both unless the name is shared.  A name decided to have no
        package stays so."""
        if not name.locked:
            self._lock(name, provide)
            return
        owner = name.chosen
        if owner is not None and owner is not provide and (owner.version or provide.version):
            self.failed += [owner.candidate, provide.candidate]

    def _lock(self, name: Name, provide: Provide | None) -> None:
        name.locked = True
        name.chosen = provide
        for rival in name.providers:
            if provide is None:
                excluded = bool(rival.version)
            else:
                excluded = rival.candidate is not provide.candidate and bool(rival.version or provide.version)
            if excluded:
                self._disqualify(rival.candidate)
        self._recheck(name)


def _owned(name: Name, candidate: Candidate) -> dict[str, bool]:
    """Names of a package, and whether they count as versioned where it stands for `name`: its own does if `name` does,
    and of several entries under one name the first one counts."""
    versioned = candidate.name == name.text or all(candidate.versions_of(name.text))
    return {text: bool(version) for text, version in reversed(candidate.provides)} | {candidate.name: versioned}
