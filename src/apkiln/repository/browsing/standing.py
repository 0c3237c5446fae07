"""What became of a package, in the word that people read (spec repository.md §3.5)."""

from __future__ import annotations

from collections.abc import Iterable

from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import RepositoryState, Status


def standing(state: RepositoryState, key: Key) -> str:
    """`live`, `retained` (live, outside of the current index), `aside`, `withdrawn` or `collected`."""
    accepted = state.accepted[key]
    if accepted.status is Status.LIVE and key not in state.listed(key.arch, key.name):
        return "retained"
    return accepted.status.value


def last_first(state: RepositoryState, keys: Iterable[Key]) -> tuple[Key, ...]:
    """Packages by their last change, the latest first."""
    return tuple(sorted(keys, key=lambda key: (-state.accepted[key].changed, key)))
