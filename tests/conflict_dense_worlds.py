"""Worlds that no forward pass gets through: many versions of each package, and hardly two that go together.

A hidden choice of versions fits; every other version asks for things that rule each other out.  With a `Spoiler` no choice
fits, by construction: no single package shows it, and what is found out about one name has to be used for those before it,
all the way back to the world.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import pairwise

from apkiln.formats.apk.dependency import Dependency, parse_dependency
from apkiln.formats.apk.records import IndexRecord

NEEDS = 3
"""Dependencies of a package on other names."""
ROOTS = 8
"""Names in the world; as many chains of needs run from them through all names."""
COLOURS, RING = 3, 5
"""A wheel of an odd ring and a hub cannot be painted with three colours so that neighbours differ."""


class Spoiler(Enum):
    """Why a world has no solution."""

    BOUNDS = "bounds"
    """Two chains: each version of a name needs the next one above (or below) a bound, which is what keeps that one to the next
    bound.  At their ends one wants a library above a version, and the other one below."""
    SETS = "sets"
    """The same with sets of versions that have gaps."""
    PARITY = "parity"
    """Two chains count how many names of a third one have a high version; they end at a library for the even numbers and for
    the odd ones.  Besides, all versions of these names fit."""
    WHEEL = "wheel"
    """All but a few names fit; those few, needed at the end of a chain, have no choice that goes together."""


def conflict_dense_world(
    names: int, versions: int, seed: int, spoiler: Spoiler | None = None
) -> tuple[list[IndexRecord], tuple[Dependency, ...]]:
    """`names` packages of `versions` versions each, and a world that reaches all of them; equal for equal arguments.

    With a spoiler: four versions and `ROOTS * 2` names at least.
    """
    world = _World(names, versions, random.Random(f"{names}/{versions}/{seed}"))
    if spoiler is not None:
        _SPOILERS[spoiler](world)
    return world.records(), tuple(parse_dependency(_name(number)) for number in range(min(ROOTS, names)))


class _World:
    """Names are numbers from 0, versions from 1."""

    def __init__(self, names: int, versions: int, chance: random.Random) -> None:
        self.names = names
        self.versions = range(1, versions + 1)
        self.chance = chance
        self.hidden = [chance.randint(1, versions) for _ in range(names)]
        self.items = [self._all_items(number, _targets(number, names, chance)) for number in range(names)]
        """Of each name, version by version: number of a name → items that speak of it."""

    def records(self) -> list[IndexRecord]:
        return [
            _record(_name(number), version, " ".join(items.values()))
            for number, all_items in enumerate(self.items)
            for version, items in zip(self.versions, all_items, strict=True)
        ]

    def chain(self, root: int) -> list[int]:
        """Names along which each needs the next one."""
        return list(range(root, self.names, ROOTS))

    def let_need(self, number: int, other: int, item_of: Callable[[int], str]) -> None:
        """Give every version of a name the items on another one."""
        for version, items in zip(self.versions, self.items[number], strict=True):
            items[other] = item_of(version)

    def let_fit(self, number: int) -> None:
        """Let all versions of a name go with the hidden choice."""
        for items in self.items[number]:
            for other in items:
                items[other] = self._fitting(other)

    def _all_items(self, number: int, needs: Sequence[int]) -> list[dict[int, str]]:
        return [self._items(number, version, needs) for version in self.versions]

    def _items(self, number: int, version: int, needs: Sequence[int]) -> dict[int, str]:
        items = {other: self._fitting(other) for other in needs}
        if version != self.hidden[number]:
            other = self.chance.choice(needs or [(number + 1) % self.names])
            items[other] = self._refusing(other)
        return items

    def _fitting(self, other: int) -> str:
        """A range around the hidden version."""
        hidden = self.hidden[other]
        if self.chance.random() < 0.5:
            return f"{_name(other)}>={self.chance.randint(1, hidden)}"
        return f"{_name(other)}<={self.chance.randint(hidden, self.versions[-1])}"

    def _refusing(self, other: int) -> str:
        """An item that does not go with the hidden version."""
        hidden = self.hidden[other]
        kind = self.chance.random()
        if kind < 0.4 and hidden < self.versions[-1]:
            return f"{_name(other)}>{hidden}"
        if kind < 0.8 and hidden > 1:
            return f"{_name(other)}<{hidden}"
        return f"!{_name(other)}={hidden}"


def _targets(number: int, names: int, chance: random.Random) -> list[int]:
    """What a package needs: the next one of a chain over all names, and some further on."""
    following = [number + ROOTS] if number + ROOTS < names else []
    later = range(number + 1, names)
    return sorted({*following, *chance.sample(later, min(NEEDS - 1, len(later)))})


# ---- spoilers


def _spoil_bounds(world: _World) -> None:
    def side(number: int) -> frozenset[int]:
        bound = world.chance.choice(world.versions[1:])
        sides = frozenset(world.versions[: bound - 1]), frozenset(world.versions[bound - 1 :])
        return sides[world.hidden[number] in sides[1]]

    _carry(world, side)


def _spoil_sets(world: _World) -> None:
    gaps = max(1, len(world.versions) // 5)

    def with_gaps(number: int) -> frozenset[int]:
        others = [version for version in world.versions if version != world.hidden[number]]
        return frozenset(world.versions) - frozenset(world.chance.sample(others, gaps))

    _carry(world, with_gaps)


def _carry(world: _World, some: Callable[[int], frozenset[int]]) -> None:
    """Let two chains carry sets of versions: what is in the set of its name needs the next name to be in the next set.  The
    first sets have all versions, and the last ones, of the library at the end of both chains, have none in common.  The first
    chain by itself, and all but the end of the second one, has the hidden choice."""
    library = world.names - 1
    everything = frozenset(world.versions)
    above = some(library)
    for root, last in ((0, above), (1, everything - above)):
        within = everything
        for number, following in pairwise([*(each for each in world.chain(root) if each != library), library]):
            beyond = last if following == library else some(following)
            items = {each: _among(world, following, beyond) if each in within else _name(following) for each in world.versions}
            if world.hidden[following] in beyond:
                items[world.hidden[number]] = _name(following) + ">=1 " + " ".join(_refusals(following, everything - beyond))
            world.let_need(number, following, items.__getitem__)
            within = beyond


def _among(world: _World, number: int, wanted: frozenset[int]) -> str:
    """Items on a name that some of the wanted versions meet, and no other: a bound, and refusals of what is missing there."""
    bound = world.chance.choice(sorted(wanted))
    up = world.chance.random() < 0.5
    side = [version for version in world.versions if (version >= bound if up else version <= bound)]
    return " ".join([f"{_name(number)}{'>=' if up else '<='}{bound}", *_refusals(number, set(side) - wanted)])


def _refusals(number: int, versions: Iterable[int]) -> list[str]:
    return [f"!{_name(number)}={version}" for version in sorted(versions)]


def _spoil_parity(world: _World) -> None:
    """A version of a counting name says two things: whether it is high, how the sum is before this step, and whether it is
    odd, what is added."""
    library = world.names - 1
    middle = len(world.versions) // 2
    counted = world.chain(2)[:-1]
    for root in (0, 1, 2):
        for number in world.chain(root):
            world.let_fit(number)
    for root in (0, 1):
        chain = world.chain(root)[: len(counted)]
        for place, (number, following, summand) in enumerate(zip(chain, [*chain[1:], library], counted, strict=True)):
            for version, items in zip(world.versions, world.items[number], strict=True):
                odd = version % 2 == 1
                after = odd != (version > middle and place > 0)
                swapped = root == 1 and following == library
                items[summand] = f"{_name(summand)}{'>' if odd else '<='}{middle}"
                items[following] = f"{_name(following)}{'>' if after != swapped else '<='}{middle}"


def _spoil_wheel(world: _World) -> None:
    """The hub and the ring are the last names; a version's remainder is its colour."""
    hub, *ring = range(world.names - RING - 1, world.names)
    neighbours = [(hub, ring), *((each, [hub, ring[(place + 1) % RING]]) for place, each in enumerate(ring))]
    for number, others in neighbours:
        for version, items in zip(world.versions, world.items[number], strict=True):
            same = [other for other in world.versions if other % COLOURS == version % COLOURS]
            items.update({other: " ".join([_name(other), *_refusals(other, same)]) for other in others})
    last = max(number for number in world.chain(0) if number < hub)
    world.let_need(last, hub, lambda version: _name(hub))


_SPOILERS = {
    Spoiler.BOUNDS: _spoil_bounds,
    Spoiler.SETS: _spoil_sets,
    Spoiler.PARITY: _spoil_parity,
    Spoiler.WHEEL: _spoil_wheel,
}


def _name(number: int) -> str:
    return f"p{number:04}"


def _record(name: str, version: int, depends: str) -> IndexRecord:
    identity = hashlib.sha1(f"{name}-{version}".encode(), usedforsecurity=False).digest()
    return IndexRecord(name, str(version), "x86_64", identity, 1, 1, depends=depends)
