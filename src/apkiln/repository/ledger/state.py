"""The state of a repository: a fold over the rows of its ledger, and over nothing else (spec repository.md §3.4, §3.5, I12).

`RepositoryState.apply` is the only thing that changes it.  What a transaction would change is a value (`Changes`,
`ListingChange`) that is computed from a state without touching it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.formats.apk.version import sort_key
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import SIGNING, Finding, Indexed, KeyChange, Manifest, Selection
from apkiln.repository.ledger.packages import Key, Package
from apkiln.repository.ledger.rows import Head, Row


class Status(Enum):
    """Of an accepted package (spec §3.5; `retained` is LIVE outside of the current index, or ASIDE)."""

    LIVE = "live"
    ASIDE = "aside"
    """A rollback took it out of the index; publishing the same bytes again brings it back."""
    WITHDRAWN = "withdrawn"
    COLLECTED = "collected"


class Step(Enum):
    """Of a transaction (spec §3.4)."""

    OPEN = "open"
    UPLOADED = "uploaded"
    VERIFIED = "verified"
    INDEXED = "indexed"
    LIVE = "live"
    REJECTED = "rejected"
    ABORTED = "aborted"


ENDED = frozenset({Step.LIVE, Step.REJECTED, Step.ABORTED})


class Accepted(NamedTuple):
    """A package that was accepted, and what became of it."""

    package: Package
    status: Status
    transaction: int
    """The last one that changed its status."""
    changed: int
    """Unix milliseconds of that."""
    listed: tuple[tuple[int, int], ...] = ()
    """Generations [first, end) whose index has it, ascending; an end of 0 is the current one."""
    reason: str = ""
    """Of the last change of status."""

    def is_listed_in(self, generation: int) -> bool:
        return any(first <= generation and (not end or generation < end) for first, end in self.listed)


class Transaction(NamedTuple):
    """A unit of change."""

    number: int
    manifest: Manifest
    step: Step
    actor: str
    reason: str
    opened: int
    """Unix milliseconds."""
    changed: int
    """When it got to its step."""
    idempotency_key: str = ""
    teams: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    findings: tuple[Finding, ...] = ()
    generation: int = 0
    approvers: tuple[str, ...] = ()


class Generation(NamedTuple):
    """An immutable numbered result."""

    number: int
    indexed: Indexed
    live_at: int
    """Unix milliseconds."""
    ledger: str
    """Hash of the ledger row that made it live."""
    document: str
    """Hex SHA-256 of its newest `generation.json`."""
    signature: str
    expires: int


class TrustedKey(NamedTuple):
    """A key of the repository."""

    name: str
    pem: str
    state: actions.KeyState
    changed: int


class Changes(NamedTuple):
    """What one or several transactions do, all names resolved."""

    publish: tuple[Package, ...] = ()
    withdraw: tuple[Key, ...] = ()
    restore: tuple[Key, ...] = ()
    aside: tuple[Key, ...] = ()
    back: tuple[Key, ...] = ()
    """Set aside by a rollback, and now taken back by another one."""
    keys: tuple[KeyChange, ...] = ()

    @property
    def touched(self) -> frozenset[Key]:
        published = (package.key for package in self.publish)
        return frozenset((*published, *self.withdraw, *self.restore, *self.aside, *self.back))

    def joined(self, other: Changes) -> Changes:
        return Changes(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))  # type: ignore[arg-type]


class ListingChange(NamedTuple):
    """The difference that changes make to what the current index lists."""

    added: tuple[Package, ...] = ()
    removed: tuple[Package, ...] = ()


class RepositoryState:
    """Where one repository stands.  Attributes are for reading; `apply` changes them.

    Cost of `apply`: proportional to what the row changes, whatever the size of the repository.
    """

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self.head = Head()
        self.arches: tuple[str, ...] = ()
        self.keep = 3
        self.accepted: dict[Key, Accepted] = {}
        self.builds: dict[tuple[str, str], tuple[Key, ...]] = {}
        """(origin, version) → its accepted packages."""
        self.names: dict[tuple[str, str], tuple[Key, ...]] = {}
        """(arch, name) → its live packages, oldest version first."""
        self.transactions: dict[int, Transaction] = {}
        self.unfinished: dict[int, None] = {}
        """Transactions that have not ended, oldest first."""
        self.idempotency: dict[str, int] = {}
        self.generations: dict[int, Generation] = {}
        self.current = 0
        """Number of the current generation; 0 = none yet."""
        self.candidate: Indexed | None = None
        """Written and not yet live; always on the current generation."""
        self.incoming: dict[tuple[str, str], str] = {}
        """(arch, file name) → hex digest of what is accepted, or back, when the candidate goes live."""
        self.keys: dict[str, TrustedKey] = {}
        self.views: dict[str, int] = {}
        self.holds: dict[str | int, int] = {}
        """Blob or generation → Unix seconds."""
        self.owners: dict[str, str] = {}
        self.pending: dict[tuple[str, str, str], int] = {}
        """(origin, version, arch) → transaction that went live without it."""
        self.marked: dict[str, int] = {}
        """Blob → Unix milliseconds of the mark."""
        self.removed: set[str] = set()

    # ------------------------------------------------------------------ questions

    def listed(self, arch: str, name: str) -> tuple[Key, ...]:
        """What the current index of `arch` (or the `noarch` part of all) lists under a name, oldest first."""
        return self.names.get((arch, name), ())[-self.keep :]

    def listing(self) -> Iterator[Package]:
        """Every package of the current indexes, in no particular order."""
        for arch, name in self.names:
            for key in self.listed(arch, name):
                yield self.accepted[key].package

    def listing_of(self, generation: int) -> Iterator[Package]:
        """Every package that the indexes of a generation list.  Looks at every accepted package."""
        for accepted in self.accepted.values():
            if accepted.is_listed_in(generation):
                yield accepted.package

    def signing_keys(self) -> tuple[str, ...]:
        """File names of the keys that a new index is signed with, sorted."""
        return tuple(sorted(key.name for key in self.keys.values() if key.state in SIGNING))

    def resolve(self, selection: Selection) -> tuple[Key, ...]:
        """The accepted packages that a selection means, whatever their status."""
        keys = self.builds.get((selection.origin, selection.version), ())
        return tuple(
            key for key in keys if selection.name in ("", key.name) and (not selection.arch or key.arch == selection.arch)
        )

    def changes_of(self, transactions: Iterable[Transaction]) -> Changes:
        """What transactions do to this very state; they must not touch each other's packages."""
        found = Changes()
        for transaction in transactions:
            found = found.joined(self._changes(transaction))
        return found

    def _changes(self, transaction: Transaction) -> Changes:
        manifest = transaction.manifest
        aside: tuple[Key, ...] = ()
        back: tuple[Key, ...] = ()
        if manifest.rollback:
            aside, back = self._rollback(manifest.rollback)
        return Changes(
            publish=tuple(item for item in transaction.packages if self._is_news(item)),
            withdraw=self._with_status(manifest.withdraw, (Status.LIVE, Status.ASIDE)),
            restore=self._with_status(manifest.restore, (Status.WITHDRAWN,)),
            aside=aside,
            back=back,
            keys=manifest.keys,
        )

    def _is_news(self, package: Package) -> bool:
        known = self.accepted.get(package.key)
        return known is None or (known.status is Status.ASIDE and known.package.content == package.content)

    def _with_status(self, selections: Sequence[Selection], wanted: tuple[Status, ...]) -> tuple[Key, ...]:
        keys = dict.fromkeys(key for selection in selections for key in self.resolve(selection))
        return tuple(key for key in keys if self.accepted[key].status in wanted)

    def _rollback(self, generation: int) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
        """(set aside, taken back): what that generation lists is live afterwards, except what was withdrawn meanwhile (I8)."""
        then = {key for key, accepted in self.accepted.items() if accepted.is_listed_in(generation)}
        aside = (key for key, accepted in self.accepted.items() if accepted.status is Status.LIVE and key not in then)
        back = (key for key in then if self.accepted[key].status is Status.ASIDE)
        return tuple(aside), tuple(sorted(back))

    def listing_change(self, changes: Changes) -> ListingChange:
        """What changes do to the current indexes; this state is left as it is."""
        live: dict[tuple[str, str], set[Key]] = {}
        incoming = {package.key: package for package in changes.publish}
        for key in changes.touched:
            live.setdefault((key.arch, key.name), set(self.names.get((key.arch, key.name), ())))
        for key in (*incoming, *changes.restore, *changes.back):
            live[key.arch, key.name].add(key)
        for key in (*changes.withdraw, *changes.aside):
            live[key.arch, key.name].discard(key)
        added: list[Package] = []
        removed: list[Package] = []
        for (arch, name), keys in sorted(live.items()):
            before, after = self.listed(arch, name), _ordered(keys)[-self.keep :]
            added += [self._package(key, incoming) for key in after if key not in before]
            removed += [self.accepted[key].package for key in before if key not in after]
        return ListingChange(tuple(added), tuple(removed))

    def _package(self, key: Key, incoming: dict[Key, Package]) -> Package:
        known = self.accepted.get(key)
        return known.package if known is not None else incoming[key]

    # ------------------------------------------------------------------ the fold

    def apply(self, row: Row) -> ListingChange:
        """Take the next row; what it changed in the current indexes.

        VerificationError `ledger-impossible` when it cannot follow what happened so far.
        """
        if row.number != self.head.number + 1 or row.repository != self.repository:
            raise _impossible(row, "is not the next one")
        body = row.body
        listing = ListingChange()
        match body:
            case actions.Configured():
                if self.arches and body.keep != self.keep:
                    raise _impossible(row, "changes how many versions are kept")
                self.arches, self.keep = tuple(sorted({*self.arches, *body.arches})), body.keep
            case actions.Opened():
                self._open(row, body)
            case actions.Uploaded():
                self._step(row, body.transaction, Step.UPLOADED, {Step.OPEN})
            case actions.Verified():
                self._step(row, body.transaction, Step.VERIFIED, {Step.UPLOADED}, packages=body.packages)
                self.removed.difference_update(package.digest for package in body.packages)
            case actions.Rejected():
                allowed = {Step.UPLOADED, Step.VERIFIED, Step.INDEXED}
                self._step(row, body.transaction, Step.REJECTED, allowed, findings=body.findings)
            case actions.Aborted():
                self._step(row, body.transaction, Step.ABORTED, {Step.OPEN, Step.UPLOADED, Step.VERIFIED})
            case actions.Approved():
                found = self._transaction(row, body.transaction)
                self.transactions[found.number] = found._replace(approvers=(*found.approvers, row.actor))
            case actions.Indexed():
                self._index(row, body)
            case actions.Live():
                listing = self._go_live(row, body)
            case actions.Dropped():
                if self.candidate is None or self.candidate.document != body.document:
                    raise _impossible(row, "drops another generation than the candidate")
                self._drop_candidate(0)
            case actions.Renewed():
                self._renew(row, body)
            case _:
                self._note(row)
        self.head = Head(row.number, row.hash, row.at)
        return listing

    def _open(self, row: Row, body: actions.Opened) -> None:
        self.transactions[row.number] = Transaction(
            row.number, body.manifest, Step.OPEN, row.actor, row.reason, row.at, row.at, body.idempotency_key, body.teams
        )
        self.unfinished[row.number] = None
        if body.idempotency_key:
            self.idempotency[body.idempotency_key] = row.number

    def _transaction(self, row: Row, number: int) -> Transaction:
        found = self.transactions.get(number)
        if found is None:
            raise _impossible(row, "names no transaction")
        return found

    def _step(self, row: Row, number: int, step: Step, allowed: set[Step], **fields: object) -> None:
        found = self._transaction(row, number)
        if found.step not in allowed:
            raise _impossible(row, f"takes a transaction from {found.step.value} to {step.value}")
        if found.step is Step.INDEXED and step is Step.REJECTED:
            self._drop_candidate(found.number)
        self.transactions[number] = found._replace(step=step, changed=row.at, **fields)  # type: ignore[arg-type]
        if step in ENDED:
            del self.unfinished[number]

    def _index(self, row: Row, body: Indexed) -> None:
        if body.base != self.current or body.generation != self.current + 1:
            raise _impossible(row, "is not on the current generation")
        if self.candidate is not None:
            self._drop_candidate(0)
        for number in body.transactions:
            self._step(row, number, Step.INDEXED, {Step.VERIFIED})
        self.candidate = body
        changes = self.changes_of(self.transactions[number] for number in body.transactions)
        back = (self.accepted[key].package for key in (*changes.restore, *changes.back))
        self.incoming = {(package.arch, package.key.file): package.digest for package in (*changes.publish, *back)}

    def _drop_candidate(self, rejected: int) -> None:
        """Its transactions are verified again, and no more."""
        assert self.candidate is not None, "an indexed transaction has a candidate"
        for number in self.candidate.transactions:
            if number != rejected:
                self.transactions[number] = self.transactions[number]._replace(step=Step.VERIFIED)
        self.candidate, self.incoming = None, {}

    def _go_live(self, row: Row, body: actions.Live) -> ListingChange:
        indexed = self.candidate
        if indexed is None or (indexed.generation, indexed.document) != (body.generation, body.document):
            raise _impossible(row, "points to another generation than the candidate")
        transactions = [self.transactions[number] for number in indexed.transactions]
        changes = self.changes_of(transactions)
        listing = self.listing_change(changes)
        reasons = " ".join(dict.fromkeys(item.reason for item in transactions if item.reason))
        last = max(indexed.transactions, default=0)
        self._set_statuses(changes, row.at, last, reasons)
        for package in listing.removed:
            self._relist(package.key, lambda spans: (*spans[:-1], (spans[-1][0], body.generation)))
        for package in listing.added:
            self._relist(package.key, lambda spans: (*spans, (body.generation, 0)))
        for change in changes.keys:
            known = self.keys.get(change.name)
            pem = change.pem or (known.pem if known else "")
            self.keys[change.name] = TrustedKey(change.name, pem, change.state, row.at)
        for transaction in transactions:
            self._step(row, transaction.number, Step.LIVE, {Step.INDEXED}, generation=body.generation, findings=indexed.notes)
            self._settle_pending(transaction)
        self.generations[body.generation] = Generation(
            body.generation, indexed, row.at, row.hash, indexed.document, indexed.signature, indexed.expires
        )
        self.current, self.candidate, self.incoming = body.generation, None, {}
        return listing

    def _set_statuses(self, changes: Changes, at: int, transaction: int, reason: str) -> None:
        for package in changes.publish:
            known = self.accepted.get(package.key)
            if known is None:
                self.accepted[package.key] = Accepted(package, Status.LIVE, transaction, at, (), reason)
                self.builds[package.build] = (*self.builds.get(package.build, ()), package.key)
            else:
                self.accepted[package.key] = known._replace(
                    status=Status.LIVE, transaction=transaction, changed=at, reason=reason
                )
            self._join(package.key)
        groups = (
            (changes.withdraw, Status.WITHDRAWN),
            (changes.aside, Status.ASIDE),
            (changes.restore, Status.LIVE),
            (changes.back, Status.LIVE),
        )
        for keys, status in groups:
            for key in keys:
                self.accepted[key] = self.accepted[key]._replace(
                    status=status, transaction=transaction, changed=at, reason=reason
                )
                if status is Status.LIVE:
                    self._join(key)
                else:
                    self._leave(key)

    def _put(self, key: Key, status: Status, transaction: int, at: int, reason: str) -> None:
        self.accepted[key] = self.accepted[key]._replace(status=status, transaction=transaction, changed=at, reason=reason)

    def _join(self, key: Key) -> None:
        place = (key.arch, key.name)
        self.names[place] = _ordered({*self.names.get(place, ()), key})

    def _leave(self, key: Key) -> None:
        place = (key.arch, key.name)
        rest = tuple(item for item in self.names.get(place, ()) if item != key)
        if rest:
            self.names[place] = rest
        else:
            self.names.pop(place, None)

    def _relist(self, key: Key, change: _SpanChange) -> None:
        accepted = self.accepted[key]
        self.accepted[key] = accepted._replace(listed=change(accepted.listed))

    def _settle_pending(self, transaction: Transaction) -> None:
        for build in transaction.manifest.builds:
            present = {key.arch for key in self.builds.get((build.origin, build.version), ())}
            for arch in build.arches:
                place = (build.origin, build.version, arch)
                if present & {arch, "noarch"}:
                    self.pending.pop(place, None)
                else:
                    self.pending.setdefault(place, transaction.number)

    def _renew(self, row: Row, body: actions.Renewed) -> None:
        if body.generation != self.current:
            raise _impossible(row, "renews another generation than the current one")
        known = self.generations[body.generation]
        self.generations[body.generation] = known._replace(document=body.document, signature=body.signature, expires=body.expires)

    def _note(self, row: Row) -> None:
        """Rows that stand for themselves."""
        body = row.body
        match body:
            case actions.Named():
                if self.views.setdefault(body.name, body.generation) != body.generation:
                    raise _impossible(row, "moves a named view")
            case actions.Held():
                place: str | int = body.blob or body.generation
                self.holds[place] = body.until
                if not body.until:
                    del self.holds[place]
            case actions.Owned():
                self.owners[body.prefix] = body.team
            case actions.Marked():
                self.marked = dict.fromkeys(body.blobs, row.at) | {
                    blob: at for blob, at in self.marked.items() if blob in body.blobs
                }
            case actions.Removed():
                self._remove(row, body.blobs)
            case _:
                pass  # a refusal changes nothing

    def _remove(self, row: Row, blobs: tuple[str, ...]) -> None:
        gone = set(blobs)
        if not gone <= self.marked.keys():
            raise _impossible(row, "removes what was not marked")
        self.removed |= gone
        for blob in blobs:
            del self.marked[blob]
        for key, accepted in self.accepted.items():
            if accepted.package.digest in gone:
                self.accepted[key] = accepted._replace(status=_collected(accepted.status), changed=row.at)
                self._leave(key)


_Spans = tuple[tuple[int, int], ...]


class _SpanChange(Protocol):
    """A function from spans to spans."""

    def __call__(self, spans: _Spans) -> _Spans: ...


def _collected(status: Status) -> Status:
    """What is withdrawn stays withdrawn also when its bytes are gone."""
    return status if status is Status.WITHDRAWN else Status.COLLECTED


def _ordered(keys: Iterable[Key]) -> tuple[Key, ...]:
    return tuple(sorted(keys, key=lambda key: (sort_key(key.version), key.version)))


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
        state.apply(row)
    return state
