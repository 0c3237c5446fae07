"""What happened to one package file: who published it, and every time an index began or ceased to list it (I13).

Pure, and made from the state alone: the generations that list a package are known, each names its transactions, and those say
what they did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from apkiln.repository.ledger.actions import Selection
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import RepositoryState, Status, Step, Transaction

PUBLISHED, RESTORED, BROUGHT_BACK, LISTED_AGAIN = "published", "restored", "brought back", "listed again"
WITHDRAWN, SET_ASIDE, SUPERSEDED = "withdrawn", "set aside", "superseded"


class Event(NamedTuple):
    """One change."""

    what: str
    generation: int
    """That shows it first; 0 = no index changed."""
    transaction: int
    at: int
    """Unix milliseconds."""
    actor: str
    reason: str
    approvers: tuple[str, ...]
    provenance: tuple[str, ...]
    """What the publisher named as evidence, for example the digest of an attestation."""


def history(state: RepositoryState, key: Key) -> tuple[Event, ...]:
    """Oldest first; empty for a package that was never accepted.  Cost: the transactions of the generations concerned."""
    accepted = state.accepted.get(key)
    if accepted is None:
        return ()
    moments = {(first, True) for first, _ in accepted.listed} | {(end, False) for _, end in accepted.listed if end}
    events = [_listed(state, key, number, came) for number, came in sorted(moments)]
    if accepted.status is Status.WITHDRAWN and (not events or events[-1].what != WITHDRAWN):
        last = state.transactions[accepted.transaction]  # of a version that no index listed any more
        events.append(_event(WITHDRAWN, last, last.generation, accepted.changed))
    return tuple(events)


def _listed(state: RepositoryState, key: Key, number: int, came: bool) -> Event:
    generation = state.generations[number]
    transactions = [state.transactions[item] for item in generation.indexed.transactions]
    for transaction in transactions:
        for what in _came(state, key, transaction) if came else _went(state, key, transaction):
            return _event(what, transaction, number, generation.live_at)
    what = LISTED_AGAIN if came else SUPERSEDED  # another version made way for it, or took its place
    return _event(what, transactions[0], number, generation.live_at)


def _came(state: RepositoryState, key: Key, transaction: Transaction) -> Iterator[str]:
    if any(package.name == key.name and package.key == key for package in transaction.packages):
        yield PUBLISHED
    if _names(state, transaction.manifest.restore, key):
        yield RESTORED
    if transaction.manifest.rollback:
        yield BROUGHT_BACK


def _went(state: RepositoryState, key: Key, transaction: Transaction) -> Iterator[str]:
    if _names(state, transaction.manifest.withdraw, key):
        yield WITHDRAWN
    if transaction.manifest.rollback:
        yield SET_ASIDE
    if any((package.arch, package.name) == (key.arch, key.name) for package in transaction.packages):
        yield SUPERSEDED


def _names(state: RepositoryState, selections: Sequence[Selection], key: Key) -> bool:
    return any(key in state.resolve(selection) for selection in selections)


def _event(what: str, transaction: Transaction, generation: int, at: int) -> Event:
    assert transaction.step is Step.LIVE, transaction
    return Event(
        what,
        generation,
        transaction.number,
        at,
        transaction.actor,
        transaction.reason,
        transaction.approvers,
        transaction.manifest.provenance,
    )
