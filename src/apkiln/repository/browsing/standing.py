"""What became of a package, in the word that people read (spec repository.md §3.5)."""

from __future__ import annotations

from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import RepositoryState, Status


def standing(state: RepositoryState, key: Key) -> str:
    """`live`, `retained` (live, outside of the current index), `aside`, `withdrawn` or `collected`."""
    accepted = state.accepted[key]
    if accepted.status is Status.LIVE and key not in state.listed(key.arch, key.name):
        return "retained"
    return accepted.status.value


def withdrawn(state: RepositoryState) -> tuple[Key, ...]:
    """What was withdrawn, the newest first.  Looks at every accepted package."""
    found = [(accepted.changed, key) for key, accepted in state.accepted.items() if accepted.status is Status.WITHDRAWN]
    return tuple(key for _, key in sorted(found, key=lambda item: (-item[0], item[1])))
