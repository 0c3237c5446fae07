"""What changed between two generations, by package name: from the turnover of those between them, not from two indexes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apkiln.core.value import value
from apkiln.repository.browsing.inventory import Inventory, Turnover, newest_first
from apkiln.repository.ledger.packages import Key


class Changed(NamedTuple):
    """One name of one architecture whose listed versions differ."""

    name: str
    arch: str
    removed: tuple[str, ...]
    """Versions that only the first generation lists, oldest first."""
    added: tuple[str, ...]
    """Versions that only the second one lists."""


@value
class Difference:
    """Everything that differs; the rows of a part of the names are made when they are asked for."""

    names: tuple[str, ...]
    """Sorted."""
    removed: dict[Key, None]
    added: dict[Key, None]

    def __len__(self) -> int:
        return len(self.names)


def difference(inventory: Inventory, before: int, after: int) -> Difference:
    """What `after` lists and `before` does not, and the reverse; 0 is the empty generation.

    Cost: a step for everything that came or went between the two.
    """
    first, last = sorted((before, after))
    added: dict[Key, None] = {}
    removed: dict[Key, None] = {}
    for number in range(first + 1, last + 1):
        _follow(inventory.turnover[number], added, removed)
    if after < before:
        added, removed = removed, added
    names = dict.fromkeys(key.name for keys in (added, removed) for key in keys)
    return Difference(tuple(sorted(names)), removed, added)


def _follow(turnover: Turnover, added: dict[Key, None], removed: dict[Key, None]) -> None:
    """What came and went again, or went and came again, is no difference."""
    for key in turnover.removed:
        if key in added:
            del added[key]
        else:
            removed[key] = None
    for key in turnover.added:
        if key in removed:
            del removed[key]
        else:
            added[key] = None


def rows_of(inventory: Inventory, found: Difference, names: Sequence[str]) -> tuple[Changed, ...]:
    """The rows of some names of a difference, each for every architecture that differs, sorted."""
    return tuple(row for name in names for row in _rows(name, inventory.keys[name], found))


def _rows(name: str, keys: Iterable[Key], found: Difference) -> Iterable[Changed]:
    places: dict[str, tuple[list[Key], list[Key]]] = {}
    for key in keys:
        for number, side in enumerate((found.removed, found.added)):
            if key in side:
                places.setdefault(key.arch, ([], []))[number].append(key)
    for arch, (removed, added) in sorted(places.items()):
        yield Changed(name, arch, _versions(removed), _versions(added))


def _versions(keys: Iterable[Key]) -> tuple[str, ...]:
    return tuple(key.version for key in reversed(newest_first(keys)))
