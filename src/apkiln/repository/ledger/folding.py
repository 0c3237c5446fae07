"""From rows to a state: the fold over a ledger, and over nothing else (spec repository.md §3.4, §3.5, I12)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import Indexed
from apkiln.repository.ledger.changes import Changes, ListingChange, changes_of, listing_change, ordered
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.rows import Head, Row
from apkiln.repository.ledger.state import ENDED, Accepted, Generation, RepositoryState, Status, Step, Transaction, TrustedKey


def apply(state: RepositoryState, row: Row) -> ListingChange:
    """Take the next row; what it changed in the current indexes.

    VerificationError `ledger-impossible` when it cannot follow what happened so far.  Cost: proportional to what the row
    changes, whatever the size of the repository.
    """
    if row.number != state.head.number + 1 or row.repository != state.repository:
        raise _impossible(row, "is not the next one")
    body = row.body
    listing = ListingChange()
    match body:
        case actions.Configured():
            if state.arches and body.keep != state.keep:
                raise _impossible(row, "changes how many versions are kept")
            state.arches, state.keep = tuple(sorted({*state.arches, *body.arches})), body.keep
        case actions.Opened():
            _open(state, row, body)
        case actions.Uploaded():
            _step(state, row, body.transaction, Step.UPLOADED, {Step.OPEN})
        case actions.Verified():
            _step(state, row, body.transaction, Step.VERIFIED, {Step.UPLOADED}, packages=body.packages, held=body.held)
            state.removed.difference_update(package.digest for package in body.packages)
        case actions.Rejected():
            allowed = {Step.UPLOADED, Step.VERIFIED, Step.INDEXED}
            _step(state, row, body.transaction, Step.REJECTED, allowed, findings=body.findings)
        case actions.Aborted():
            _step(state, row, body.transaction, Step.ABORTED, {Step.OPEN, Step.UPLOADED, Step.VERIFIED})
        case actions.Approved():
            found = _transaction(state, row, body.transaction)
            state.transactions[found.number] = found._replace(approvers=(*found.approvers, row.actor))
        case actions.Indexed():
            _index(state, row, body)
        case actions.Live():
            listing = _go_live(state, row, body)
        case actions.Dropped():
            if state.candidate is None or state.candidate.document != body.document:
                raise _impossible(row, "drops another generation than the candidate")
            _drop_candidate(state, 0)
        case actions.Renewed():
            _renew(state, row, body)
        case _:
            _note(state, row)
    state.head = Head(row.number, row.hash, row.at)
    return listing


def _open(state: RepositoryState, row: Row, body: actions.Opened) -> None:
    state.transactions[row.number] = Transaction(
        row.number, body.manifest, Step.OPEN, row.actor, row.reason, row.at, row.at, body.idempotency_key, body.teams
    )
    state.unfinished[row.number] = None
    if body.idempotency_key:
        state.idempotency[body.idempotency_key] = row.number


def _transaction(state: RepositoryState, row: Row, number: int) -> Transaction:
    found = state.transactions.get(number)
    if found is None:
        raise _impossible(row, "names no transaction")
    return found


def _step(state: RepositoryState, row: Row, number: int, step: Step, allowed: set[Step], **fields: object) -> None:
    found = _transaction(state, row, number)
    if found.step not in allowed:
        raise _impossible(row, f"takes a transaction from {found.step.value} to {step.value}")
    if found.step is Step.INDEXED and step is Step.REJECTED:
        _drop_candidate(state, found.number)
    state.transactions[number] = found._replace(step=step, changed=row.at, **fields)  # type: ignore[arg-type]
    if step in ENDED:
        del state.unfinished[number]


def _index(state: RepositoryState, row: Row, body: Indexed) -> None:
    if body.base != state.current or body.generation != state.current + 1:
        raise _impossible(row, "is not on the current generation")
    if state.candidate is not None:
        _drop_candidate(state, 0)
    for number in body.transactions:
        _step(state, row, number, Step.INDEXED, {Step.VERIFIED})
    state.candidate = body
    changes = changes_of(state, (state.transactions[number] for number in body.transactions))
    back = (state.accepted[key].package for key in (*changes.restore, *changes.back))
    state.incoming = {(package.arch, package.key.file): package.digest for package in (*changes.publish, *back)}


def _drop_candidate(state: RepositoryState, rejected: int) -> None:
    """Its transactions are verified again, and no more."""
    assert state.candidate is not None, "an indexed transaction has a candidate"
    for number in state.candidate.transactions:
        if number != rejected:
            state.transactions[number] = state.transactions[number]._replace(step=Step.VERIFIED)
    state.candidate, state.incoming = None, {}


def _go_live(state: RepositoryState, row: Row, body: actions.Live) -> ListingChange:
    indexed = state.candidate
    if indexed is None or (indexed.generation, indexed.document) != (body.generation, body.document):
        raise _impossible(row, "points to another generation than the candidate")
    transactions = [state.transactions[number] for number in indexed.transactions]
    changes = changes_of(state, transactions)
    listing = listing_change(state, changes)
    reasons = " ".join(dict.fromkeys(item.reason for item in transactions if item.reason))
    last = max(indexed.transactions, default=0)
    _set_statuses(state, changes, row.at, last, reasons)
    for package in listing.removed:
        _relist(state, package.key, lambda spans: (*spans[:-1], (spans[-1][0], body.generation)))
    for package in listing.added:
        _relist(state, package.key, lambda spans: (*spans, (body.generation, 0)))
    for change in changes.keys:
        known = state.keys.get(change.name)
        pem = change.pem or (known.pem if known else "")
        state.keys[change.name] = TrustedKey(change.name, pem, change.state, row.at)
    for transaction in transactions:
        _step(state, row, transaction.number, Step.LIVE, {Step.INDEXED}, generation=body.generation, findings=indexed.notes)
        _settle_pending(state, transaction)
    state.generations[body.generation] = Generation(
        body.generation, indexed, row.at, row.hash, indexed.document, indexed.signature, indexed.expires
    )
    state.current, state.candidate, state.incoming = body.generation, None, {}
    return listing


def _set_statuses(state: RepositoryState, changes: Changes, at: int, transaction: int, reason: str) -> None:
    for package in changes.publish:
        known = state.accepted.get(package.key)
        if known is None:
            state.accepted[package.key] = Accepted(package, Status.LIVE, transaction, at, (), reason)
            state.builds[package.build] = (*state.builds.get(package.build, ()), package.key)
        else:
            _put(state, package.key, Status.LIVE, transaction, at, reason)
        _join(state, package.key)
    groups = (
        (changes.withdraw, Status.WITHDRAWN),
        (changes.aside, Status.ASIDE),
        (changes.restore, Status.LIVE),
        (changes.back, Status.LIVE),
    )
    for keys, status in groups:
        for key in keys:
            _put(state, key, status, transaction, at, reason)
            if status is Status.LIVE:
                _join(state, key)
            else:
                _leave(state, key)


def _put(state: RepositoryState, key: Key, status: Status, transaction: int, at: int, reason: str) -> None:
    state.accepted[key] = state.accepted[key]._replace(status=status, transaction=transaction, changed=at, reason=reason)


def _join(state: RepositoryState, key: Key) -> None:
    place = (key.arch, key.name)
    state.homes.add(key.arch)
    state.names[place] = ordered({*state.names.get(place, ()), key})


def _leave(state: RepositoryState, key: Key) -> None:
    place = (key.arch, key.name)
    rest = tuple(item for item in state.names.get(place, ()) if item != key)
    if rest:
        state.names[place] = rest
    else:
        state.names.pop(place, None)


def _relist(state: RepositoryState, key: Key, change: _SpanChange) -> None:
    accepted = state.accepted[key]
    state.accepted[key] = accepted._replace(listed=change(accepted.listed))


def _settle_pending(state: RepositoryState, transaction: Transaction) -> None:
    for build in transaction.manifest.builds:
        present = {key.arch for key in state.builds.get((build.origin, build.version), ())}
        for arch in build.arches:
            place = (build.origin, build.version, arch)
            if present & {arch, "noarch"}:
                state.pending.pop(place, None)
            else:
                state.pending.setdefault(place, transaction.number)


def _renew(state: RepositoryState, row: Row, body: actions.Renewed) -> None:
    if body.generation != state.current:
        raise _impossible(row, "renews another generation than the current one")
    known = state.generations[body.generation]
    state.generations[body.generation] = known._replace(document=body.document, signature=body.signature, expires=body.expires)


def _note(state: RepositoryState, row: Row) -> None:
    """Rows that stand for themselves."""
    body = row.body
    match body:
        case actions.Named():
            if state.views.setdefault(body.name, body.generation) != body.generation:
                raise _impossible(row, "moves a named view")
        case actions.Held():
            place: str | int = body.blob or body.generation
            state.holds[place] = body.until
            if not body.until:
                del state.holds[place]
        case actions.Owned():
            state.owners[body.prefix] = body.team
        case actions.Marked():
            state.marked = dict.fromkeys(body.blobs, row.at) | {
                blob: at for blob, at in state.marked.items() if blob in body.blobs
            }
        case actions.Removed():
            _remove(state, row, body.blobs)
        case _:
            pass  # a refusal changes nothing


def _remove(state: RepositoryState, row: Row, blobs: tuple[str, ...]) -> None:
    gone = set(blobs)
    if not gone <= state.marked.keys():
        raise _impossible(row, "removes what was not marked")
    state.removed |= gone
    for blob in blobs:
        del state.marked[blob]
    for key, accepted in state.accepted.items():
        if accepted.package.digest in gone:
            state.accepted[key] = accepted._replace(status=_collected(accepted.status), changed=row.at)
            _leave(state, key)


_Spans = tuple[tuple[int, int], ...]


class _SpanChange(Protocol):
    """A function from spans to spans."""

    def __call__(self, spans: _Spans) -> _Spans: ...


def _collected(status: Status) -> Status:
    """What is withdrawn stays withdrawn also when its bytes are gone."""
    return status if status is Status.WITHDRAWN else Status.COLLECTED


def _impossible(row: Row, why: str) -> VerificationError:
    return VerificationError(
        f"row {row.number} of the ledger (`{type(row.body).__name__.lower()}`) {why}",
        reason="ledger-impossible",
        origin=Origin(source=row.repository, line=row.number),
    )


def fold(repository: str, rows: Iterable[Row]) -> RepositoryState:
    """The state after all rows, which must begin with the first one."""
    state = RepositoryState(repository)
    for row in rows:
        apply(state, row)
    return state
