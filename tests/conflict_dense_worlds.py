"""Worlds that no forward pass gets through: many versions of each package, and hardly two that go together.

A hidden choice of versions fits; every other version asks for things that rule each other out.  `refuted=True` spoils the
hidden choice at one place: what is left may have another solution or none, which whoever uses it has to find out.
"""

from __future__ import annotations

import hashlib
import random

from apkiln.formats.apk.dependency import Dependency, parse_dependency
from apkiln.formats.apk.records import IndexRecord

NEEDS = 3
"""Dependencies of a package on other names."""
ROOTS = 8
"""Names in the world."""


def conflict_dense_world(
    names: int, versions: int, seed: int, *, refuted: bool = False
) -> tuple[list[IndexRecord], tuple[Dependency, ...]]:
    """`names` packages of `versions` versions each, and a world that reaches all of them; equal for equal arguments."""
    chance = random.Random(f"{names}/{versions}/{seed}")
    hidden = [chance.randint(1, versions) for _ in range(names)]
    needs = [_targets(number, names, chance) for number in range(names)]
    records = []
    spoiled = names * 2 // 3
    for number in range(names):
        for version in range(1, versions + 1):
            good = version == hidden[number] and not (refuted and number == spoiled)
            items = [_fitting(other, hidden[other], versions, chance) for other in needs[number]]
            if not good:
                other = chance.choice(needs[number] or [(number + 1) % names])
                items[-1:] = [_refusing(other, hidden[other], versions, chance)]
            records.append(_record(f"p{number:04}", version, " ".join(items)))
    world = tuple(parse_dependency(f"p{number:04}") for number in range(min(ROOTS, names)))
    return records, world


def _targets(number: int, names: int, chance: random.Random) -> list[int]:
    """What a package needs: the next one of a chain over all names, and some further on."""
    following = [number + ROOTS] if number + ROOTS < names else []
    later = range(number + 1, names)
    return sorted({*following, *chance.sample(later, min(NEEDS - 1, len(later)))})


def _fitting(other: int, hidden: int, versions: int, chance: random.Random) -> str:
    """A range around the hidden version."""
    if chance.random() < 0.5:
        return f"p{other:04}>={chance.randint(1, hidden)}"
    return f"p{other:04}<={chance.randint(hidden, versions)}"


def _refusing(other: int, hidden: int, versions: int, chance: random.Random) -> str:
    """An item that does not go with the hidden version."""
    kind = chance.random()
    if kind < 0.4 and hidden < versions:
        return f"p{other:04}>{hidden}"
    if kind < 0.8 and hidden > 1:
        return f"p{other:04}<{hidden}"
    return f"!p{other:04}={hidden}"


def _record(name: str, version: int, depends: str) -> IndexRecord:
    identity = hashlib.sha1(f"{name}-{version}".encode(), usedforsecurity=False).digest()
    return IndexRecord(name, str(version), "x86_64", identity, 1, 1, depends=depends)
