"""Every set of packages of a small world, by counting through them: what the solver must find, and what it must not.

Written from the rules (spec apk.md §9, §10.4, §10.6) over bit sets, without the solver's own machinery.  install_if is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from functools import cmp_to_key
from typing import NamedTuple

from apkiln.core.errors import FormatError
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependencies, provided
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import compare

ACCEPTED = frozenset({"x86_64", "noarch", ""})


class Listed(NamedTuple):
    """A record and where it is listed."""

    record: IndexRecord
    repository: int
    tags: frozenset[str]
    """Empty when any untagged repository lists it."""


class TooLarge(Exception):
    """More packages within reach than are counted through."""


class SmallWorld:
    """Everything within reach of a world; raises TooLarge."""

    def __init__(self, listed: Sequence[Listed], world: Sequence[Dependency], most: int) -> None:
        self.world = sorted(world, key=lambda item: (item.name.lower(), item.name, bool(item.tag), str(item)))
        self.packages = _within_reach(listed, [item.name for item in world], most)
        self.names = [_names(package.record) for package in self.packages]
        self.depends = [_depends(package.record) for package in self.packages]
        self._usable = [
            package.record.arch in ACCEPTED and needs is not None
            for package, needs in zip(self.packages, self.depends, strict=True)
        ]
        self._rivals = [self._rivals_of(number) for number in range(len(self.packages))]
        self._world_masks = [(self.mask(item), item.conflict) for item in self.world]
        self._needs = [[(self.mask(item), item.conflict) for item in needs or ()] for needs in self.depends]

    def mask(self, item: Dependency) -> int:
        """Packages that an item speaks of."""
        return sum(1 << number for number in range(len(self.packages)) if self._hit(number, item))

    def _hit(self, number: int, item: Dependency) -> bool:
        identity = self.packages[number].record.identity
        return any(name == item.name and hits(item, version, identity) for name, version in self.names[number])

    def _rivals_of(self, number: int) -> int:
        """Packages that cannot stand beside this one; itself when it gives a name twice."""
        rivals = 0
        own = self.names[number]
        for other, names in enumerate(self.names):
            for position, (name, version) in enumerate(own):
                for other_position, (other_name, other_version) in enumerate(names):
                    same_entry = other == number and position == other_position
                    if name == other_name and (version or other_version) and not same_entry:
                        rivals |= 1 << other
        return rivals

    def solutions(self) -> list[int]:
        """Every valid set, smaller numbers first."""
        count = len(self.packages)
        usable = sum(1 << number for number in range(count) if self._usable[number])
        return [chosen for chosen in range(1 << count) if not chosen & ~usable and self._holds(chosen) and self._grounded(chosen)]

    def _holds(self, chosen: int) -> bool:
        for mask, conflict in self._world_masks:
            if bool(chosen & mask) == conflict:
                return False
        for number in _members(chosen):
            if chosen & self._rivals[number]:
                return False
            for mask, conflict in self._needs[number]:
                if conflict:
                    if chosen & mask & ~(1 << number):
                        return False
                elif not chosen & mask:
                    return False
        return True

    def _grounded(self, chosen: int) -> bool:
        """Whether the world calls for every package, through items it may be picked for, and allows its tags."""
        reached = 0
        items = [item for item in self.world if not item.conflict]
        while True:
            fresh = 0
            for number in _members(chosen & ~reached):
                if any(self.may_be_picked(number, item) for item in items):
                    fresh |= 1 << number
            if not fresh:
                break
            reached |= fresh
            items += [item for number in _members(fresh) for item in self.depends[number] or () if not item.conflict]
        return reached == chosen and self._tags_allowed(chosen)

    def may_be_picked(self, number: int, item: Dependency) -> bool:
        record = self.packages[number].record
        return any(
            name == item.name
            and hits(item, version, record.identity)
            and (name == record.name or bool(version) or record.provider_priority != 0)
            for name, version in self.names[number]
        )

    def _tags_allowed(self, chosen: int) -> bool:
        members = _members(chosen)
        allowed = {
            number: {item.tag for item in self.world if item.tag and not item.conflict and self._hit(number, item)}
            for number in members
        }
        pending = deque(members)
        while pending:
            owner = pending.popleft()
            for item in self.depends[owner] or ():
                for number in [] if item.conflict else members:
                    if self._hit(number, item) and not allowed[owner] <= allowed[number]:
                        allowed[number] |= allowed[owner]
                        pending.append(number)
        return all(not self.packages[number].tags or self.packages[number].tags & allowed[number] for number in members)

    def best(self, solutions: Sequence[int]) -> int:
        """The packages chosen by the objective: names in the order of the world, then breadth first along what was chosen; each
        gets the first package, in the order of §10.4 rows 9-15, with which some solution goes."""
        chosen = 0
        pending = deque(item for item in self.world if not item.conflict)
        while pending:
            item = pending.popleft()
            fitting = self.mask(item)
            if chosen & fitting:
                continue
            for number in self._ranked(item):
                wanted = chosen | 1 << number
                if any(solution & wanted == wanted for solution in solutions):
                    chosen = wanted
                    pending.extend(need for need in self.depends[number] or () if not need.conflict)
                    break
            else:
                raise AssertionError("some solution has what is chosen")
        return chosen

    def _ranked(self, item: Dependency) -> list[int]:
        def offered(number: int) -> str:
            fitting = [version for name, version in self.names[number] if name == item.name]
            return next((version for version in fitting if hits(item, version, self.packages[number].record.identity)), "")

        def order(a: int, b: int) -> int:
            one, two = self.packages[a], self.packages[b]
            found = compare(offered(b), offered(a))
            if not found and one.record.name == two.record.name:
                found = compare(two.record.version, one.record.version)
            found = found or two.record.provider_priority - one.record.provider_priority or one.repository - two.repository
            if found:
                return found
            keys = [(each.record.name.encode(), each.record.identity) for each in (one, two)]
            return (keys[0] > keys[1]) - (keys[0] < keys[1])

        return sorted(_members(self.mask(item)), key=cmp_to_key(order))


def _members(chosen: int) -> list[int]:
    return [number for number in range(chosen.bit_length()) if chosen >> number & 1]


def _names(record: IndexRecord) -> list[tuple[str, str]]:
    names = [(record.name, record.version)]
    for text in record.provides.split():
        try:
            names.append(provided(text, lenient=True))
        except FormatError:
            continue
    return names


def _depends(record: IndexRecord) -> tuple[Dependency, ...] | None:
    try:
        return parse_dependencies(record.depends, lenient=True)
    except FormatError:
        return None


def _within_reach(listed: Iterable[Listed], names: Sequence[str], most: int) -> list[Listed]:
    everything = list(listed)
    wanted, reached = list(names), {}
    seen = set(wanted)
    while wanted:
        name = wanted.pop()
        for package in everything:
            record = package.record
            if record.identity in reached or not any(other == name for other, _ in _names(record)):
                continue
            reached[record.identity] = package
            if len(reached) > most:
                raise TooLarge
            fresh = {need.name for need in _depends(record) or ()} | {other for other, _ in _names(record)}
            wanted += fresh - seen
            seen |= fresh
    return list(reached.values())
