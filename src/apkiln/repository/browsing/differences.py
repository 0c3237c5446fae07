"""What changed between two generations, by package name: from the turnover of those between them, not from two indexes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apkiln.repository.browsing.inventory import Inventory, newest_first
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import RepositoryState


class Changed(NamedTuple):
    """One name of one architecture whose listed versions differ."""

    name: str
    arch: str
    removed: tuple[str, ...]
    """Versions that only the first generation lists, oldest first."""
    added: tuple[str, ...]
    """Versions that only the second one lists."""


def turnover_of(inventory: Inventory, number: int) -> tuple[Changed, ...]:
    """What one generation changed, sorted by name and architecture."""
    turnover = inventory.turnover[number]
    return _grouped(turnover.removed, turnover.added)


def difference(inventory: Inventory, state: RepositoryState, before: int, after: int) -> tuple[Changed, ...]:
    """What `after` lists and `before` does not, and the reverse; 0 is the empty generation.

    Cost: everything that came or went between the two.
    """
    first, last = sorted((before, after))
    turnovers = [inventory.turnover[number] for number in range(first + 1, last + 1)]
    keys = dict.fromkeys(key for turnover in turnovers for key in (*turnover.added, *turnover.removed))
    removed, added = [], []
    for key in keys:
        accepted = state.accepted[key]
        was, is_now = accepted.is_listed_in(before), accepted.is_listed_in(after)
        if was and not is_now:
            removed.append(key)
        elif is_now and not was:
            added.append(key)
    return _grouped(removed, added)


def _grouped(removed: Iterable[Key], added: Iterable[Key]) -> tuple[Changed, ...]:
    places: dict[tuple[str, str], tuple[list[Key], list[Key]]] = {}
    for number, keys in enumerate((removed, added)):
        for key in keys:
            places.setdefault((key.name, key.arch), ([], []))[number].append(key)
    return tuple(Changed(name, arch, *_versions(*places[name, arch])) for name, arch in sorted(places))


def _versions(*groups: list[Key]) -> Iterator[tuple[str, ...]]:
    for keys in groups:
        yield tuple(key.version for key in reversed(newest_first(keys)))
