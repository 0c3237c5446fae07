"""One repository as a service: it appends to the ledger, keeps blobs, and moves the pointer (spec repository.md §3-§8).

Every write is one of: a blob under its digest, or rows appended where the ledger ended when they were decided.  So each step
can be repeated, whoever died in between: `recover` brings every unfinished transaction to its end.  What decides is pure and
elsewhere (`transactions`, `gate`, `generations`, `front`); here is the order of the writes:

    packages → indexes → candidate row → read back through the public path → live row

Several processes may run on one ledger: who loses the race for a row looks again and decides anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError, UnavailableError, UsageError, VerificationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.deflate.codec import Codec, canonical_codec
from apkiln.repository import transactions
from apkiln.repository.gate import World, judge, record_findings
from apkiln.repository.generations import (
    Described,
    IndexImage,
    arch_change,
    changed_image,
    document_bytes,
    full_image,
    hex_digest,
    index_bytes,
    signature_bytes,
    sums_bytes,
)
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import SIGNING, AnyAction, ArchIndex, Finding, Indexed, KeyChange, Manifest
from apkiln.repository.ledger.packages import Package
from apkiln.repository.ledger.rows import Author, Row, chained, decode, encode, verified
from apkiln.repository.ledger.state import (
    ENDED,
    Changes,
    ListingChange,
    RepositoryState,
    Step,
    Transaction,
)
from apkiln.repository.listing import Listing
from apkiln.repository.read_back import read_back
from apkiln.repository.verifying import verify_upload
from apkiln.system.blob_store import BlobStore, pieces
from apkiln.system.clock import Clock
from apkiln.system.ledger_store import Claim, LedgerStore, StoredRow
from apkiln.system.parallel import map_in_threads
from apkiln.system.transfer import Transfer

SERVICE = "service"
"""Who writes the rows that follow from others."""
_RACES = 1000


@dataclass(frozen=True, slots=True)
class Policy:
    """What a repository wants; nothing here changes bytes that are published."""

    sign_packages: bool = True
    """Packages carry the repository's signature, made before they are indexed."""
    two_persons: bool = True
    """Withdrawing several builds, restoring, keys and overrides need a second person."""
    lifetime: int = 7 * 86_400
    """Seconds until a generation document expires."""
    idle: int = 3_600_000
    """Milliseconds after which an open transaction is given up."""
    worlds: tuple[World, ...] = ()
    """Must stay installable: images, for example."""
    full_days: int = 90
    daily_days: int = 730
    """See `generations.retained_generations`."""
    removal_grace: int = 7 * 86_400_000
    """Milliseconds between the mark and the removal of a blob."""
    largest_sweep: int = 5
    """Percent of all blobs that one sweep may take without being told to."""


class SignerSource(Protocol):
    """Where signers come from; asked anew for each generation, as keys come and go."""

    def signer(self, name: str) -> SectionSigner:
        """The signer for a public key file name.  UnavailableError `signer-unavailable`."""


class NamedSigners:
    """Signers at hand."""

    def __init__(self, signers: Iterable[SectionSigner]) -> None:
        self._signers = {signer.name: signer for signer in signers}

    def signer(self, name: str) -> SectionSigner:
        if name not in self._signers:
            raise UnavailableError(
                f"no signer has the key `{name}`", reason="signer-unavailable", origin=Origin(source=name), retriable=True
            )
        return self._signers[name]


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the service needs of the outside."""

    ledgers: LedgerStore
    blobs: BlobStore
    signers: SignerSource
    public: Transfer
    """As a client would fetch, past every cache."""
    public_url: str
    """What comes before the name of the repository, without trailing slash."""
    clock: Clock
    limits: Limits = DEFAULT_LIMITS
    jobs: int = 2


class _Prepared(NamedTuple):
    """A candidate's images, kept from its making until it is live."""

    document: str
    images: dict[str, IndexImage]
    listing: ListingChange


@dataclass(slots=True)
class _Work:
    """Derived from the state and kept beside it, by architecture."""

    images: dict[str, IndexImage] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)


class RepositoryService:
    """See the module.  Methods may be called from several threads; publishing is one at a time."""

    def __init__(self, name: str, equipment: Equipment, policy: Policy | None = None) -> None:
        self.name = name
        self.policy = policy or Policy()
        self.state = RepositoryState(name)
        """Read it under `reading`, or live with a view that changes."""
        self.equipment = equipment
        self._work = _Work()
        self._neighbours: dict[str, RepositoryState] = {}
        self._prepared: _Prepared | None = None
        self._lock = threading.RLock()
        self._publishing = threading.Lock()

    # ------------------------------------------------------------------ the ledger

    def refresh(self) -> RepositoryState:
        """Take in what others wrote.  VerificationError `ledger-broken`, `ledger-impossible`: nothing is published then."""
        with self._lock:
            first = self.state.head.number == 0
            rows = (decode(item.text) for item in self.equipment.ledgers.rows(self.name, self.state.head.number))
            for row in rows:
                self._take(row, bulk=first)
            if first and self.state.head.number:
                self._rebuild()
            return self.state

    def _take(self, row: Row, *, bulk: bool = False) -> None:
        verified((row,), self.name, self.state.head)
        change = self.state.apply(row)
        if bulk or not isinstance(row.body, actions.Live):
            return
        prepared = self._prepared
        known = prepared.images if prepared is not None and prepared.document == row.body.document else None
        codec = canonical_codec()
        for arch in self._architectures(()):
            part = arch_change(change, arch)
            if arch not in self._work.listings:
                self._start(arch)
                continue
            self._work.listings[arch].change(part)
            self._work.images[arch] = known[arch] if known else changed_image(self._work.images[arch], part, codec)

    def _start(self, arch: str) -> None:
        packages = [package for package in self.state.listing() if package.arch in (arch, NOARCH)]
        self._work.listings[arch] = Listing(packages)
        self._work.images[arch] = full_image(packages, canonical_codec())

    def _rebuild(self) -> None:
        for arch in self._architectures(()):
            self._start(arch)

    def _architectures(self, packages: Iterable[Package]) -> tuple[str, ...]:
        own = {package.arch for package in packages} | {arch for arch, _ in self.state.names}
        return tuple(sorted((own | set(self.state.arches)) - {NOARCH}))

    def append(
        self,
        author: Author,
        decide: Callable[[RepositoryState], Sequence[AnyAction]],
        claims: Callable[[RepositoryState], Sequence[Claim]] = lambda _: (),
    ) -> tuple[Row, ...]:
        """Write what `decide` says of the newest state; nothing when it says nothing.

        `decide` is asked again whenever somebody else was quicker, so it must look at nothing but the state.
        """
        with self._lock:
            for _ in range(_RACES):
                self.refresh()
                wanted = decide(self.state)
                if not wanted:
                    return ()
                now = int(self.equipment.clock.now() * 1000)
                rows = chained(self.name, self.state.head, now, author, wanted)
                if self.equipment.ledgers.append(self.name, [_stored(row) for row in rows], claims(self.state)):
                    for row in rows:
                        self._take(row)
                    return rows
        raise UnavailableError("others write to the ledger all the time", reason="database-busy", retriable=True)

    def neighbours(self) -> tuple[RepositoryState, ...]:
        """The newest states of all other ledgers in the same database: their blobs lie in the same store."""
        ledgers = self.equipment.ledgers
        with self._lock:
            for name in ledgers.repositories():
                if name == self.name:
                    continue
                state = self._neighbours.setdefault(name, RepositoryState(name))
                for item in ledgers.rows(name, state.head.number):
                    row = decode(item.text)
                    verified((row,), name, state.head)
                    state.apply(row)
            return tuple(self._neighbours.values())

    @contextmanager
    def reading(self) -> Iterator[RepositoryState]:
        """The state, which nobody changes meanwhile."""
        with self._lock:
            yield self.state

    # ------------------------------------------------------------------ transactions

    def create(self, author: Author, arches: Sequence[str], keys: Sequence[KeyChange], keep: int = 3) -> Transaction:
        """Begin the ledger; the first generation, empty and signed, is live afterwards.  May be repeated."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            fits = set(arches) <= set(state.arches) and state.head.number > 0
            return () if fits else (actions.Configured(tuple(sorted(set(arches))), keep),)

        self.append(author, decide)
        return self.run(author, Manifest(keys=tuple(keys)), "create")

    def run(self, author: Author, manifest: Manifest, idempotency_key: str = "") -> Transaction:
        """Open, commit and process a transaction whose files are in the store already."""
        opened = self.open(author, manifest, idempotency_key)
        return self.commit(author, opened.number)

    def open(self, author: Author, manifest: Manifest, idempotency_key: str = "", teams: Sequence[str] = ()) -> Transaction:
        """A new transaction, or the one that this key opened before.  Raises as `transactions.check_opening`."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            if transactions.existing(state, manifest, idempotency_key) is not None:
                return ()
            if not state.head.number:
                raise UsageError(f"there is no repository `{self.name}`", reason="unknown-repository")
            transactions.check_opening(state, manifest, teams)
            return (actions.Opened(manifest, idempotency_key, tuple(teams)),)

        rows = self.append(author, decide)
        with self._lock:
            number = rows[0].number if rows else self.state.idempotency[idempotency_key]
            return self.state.transactions[number]

    def missing(self, transaction: Transaction) -> tuple[str, ...]:
        """Hex digests of declared files that are still to be uploaded, sorted."""
        wanted = transactions.declared_blobs(transaction.manifest)
        present = self._present(wanted)
        return tuple(sorted(digest for digest, size in wanted.items() if present.get(digest) != size))

    def _present(self, wanted: Mapping[str, int]) -> dict[str, int]:
        sizes = {digest: self.equipment.blobs.size(Digest.sha256(bytes.fromhex(digest))) for digest in wanted}
        return {digest: size for digest, size in sizes.items() if size is not None}

    def check_declared(self, digest: str, size: int = 0) -> int:
        """The largest size under which an unfinished transaction declares a file.

        ConflictError `not-declared`; VerificationError `size-mismatch` when it is less than `size`.
        """
        with self._lock:
            self.refresh()
            declared = (transactions.declared_blobs(self.state.transactions[number].manifest) for number in self.state.unfinished)
            largest = max((blobs[digest] for blobs in declared if digest in blobs), default=0)
        origin = Origin(digest=f"sha256:{digest}")
        if not largest:
            raise ConflictError("no open transaction declares this file", reason="not-declared", origin=origin)
        if size > largest:
            message = f"the file is longer than the {largest} bytes that were declared"
            raise VerificationError(message, reason="size-mismatch", origin=origin)
        return largest

    def upload(self, digest: str, chunks: Iterable[bytes]) -> int:
        """Keep a file that some open transaction declares; its size.

        As `check_declared`, and VerificationError `digest-mismatch`.
        """
        largest = self.check_declared(digest)
        return self.equipment.blobs.put(Digest.sha256(bytes.fromhex(digest)), _bounded(chunks, largest, digest))

    def commit(self, author: Author, number: int) -> Transaction:
        """Everything is uploaded: verify, index, publish; the transaction as it stands then.

        Calling it again is harmless.  Raises as `transactions.check_committing`, and what keeps the service from going on
        (UnavailableError, EnvironmentFault): the transaction stays where it is and `recover` or another call goes on.
        """

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            transaction = self._known(state, number)
            if transaction.step is Step.ABORTED:
                transactions.check_committing(transaction, {})
            if transaction.step is not Step.OPEN:
                return ()
            wanted = transactions.declared_blobs(transaction.manifest)
            transactions.check_committing(transaction, self._present(wanted))
            return (actions.Uploaded(number),)

        self.append(author, decide)
        return self.process(number)

    def _known(self, state: RepositoryState, number: int) -> Transaction:
        transaction = state.transactions.get(number)
        if transaction is None:
            raise UsageError(f"there is no transaction {number}", reason="unknown-transaction")
        return transaction

    def abort(self, author: Author, number: int) -> Transaction:
        """Give a transaction up.  ConflictError `tx-state` when it is past that."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            transaction = self._known(state, number)
            if transaction.step is Step.ABORTED:
                return ()
            if transaction.step not in (Step.OPEN, Step.UPLOADED, Step.VERIFIED):
                raise ConflictError(f"the transaction is {transaction.step.value}", reason="tx-state")
            return (actions.Aborted(number),)

        self.append(author, decide)
        return self.state.transactions[number]

    def approve(self, author: Author, number: int) -> Transaction:
        """A second person agrees; the transaction goes on.  ConflictError `same-person`."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            transaction = self._known(state, number)
            if transaction.actor == author.actor:
                raise ConflictError("who opened a transaction cannot approve it", reason="same-person")
            done = transaction.step in ENDED or author.actor in transaction.approvers
            return () if done else (actions.Approved(number),)

        self.append(author, decide)
        return self.process(number)

    def expire(self) -> tuple[int, ...]:
        """Give up transactions that were open for too long; their numbers."""
        now = int(self.equipment.clock.now() * 1000)

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            return tuple(actions.Aborted(number) for number in transactions.expired(state, now, self.policy.idle))

        rows = self.append(Author(SERVICE, "idle for too long"), decide)
        return tuple(row.body.transaction for row in rows if isinstance(row.body, actions.Aborted))

    def recover(self) -> tuple[Transaction, ...]:
        """Bring every transaction that was committed to its end; those that could not be brought there."""
        self.refresh()
        for number in tuple(self.state.unfinished):
            if number in self.state.unfinished and self.state.transactions[number].step is not Step.OPEN:
                self.process(number)
        with self._lock:
            unfinished = (self.state.transactions[number] for number in self.state.unfinished)
            return tuple(item for item in unfinished if item.step is not Step.OPEN)

    def process(self, number: int) -> Transaction:
        """Verify and publish a committed transaction, as far as it goes now."""
        with self._lock:
            transaction = self.state.transactions[number]
        if transaction.step is Step.UPLOADED:
            self._verify(transaction)
        if self.state.transactions[number].step in (Step.VERIFIED, Step.INDEXED):
            with self._publishing:  # whoever holds it takes our transaction along
                if self.state.transactions[number].step in (Step.VERIFIED, Step.INDEXED):
                    self._publish()
        with self._lock:
            return self.state.transactions[number]

    def _verify(self, transaction: Transaction) -> None:
        equipment, files = self.equipment, transaction.manifest.files
        with self._lock:
            keys = self.state.signing_keys() if self.policy.sign_packages and files else ()
        signers = tuple(equipment.signers.signer(name) for name in keys)
        codec = canonical_codec()
        results = map_in_threads(
            lambda declared: verify_upload(declared, equipment.blobs, equipment.limits, signers, codec), files, equipment.jobs
        )
        findings = [result for result in results if isinstance(result, Finding)]
        packages = {
            (declared.arch, declared.name, declared.version): result
            for declared, result in zip(files, results, strict=True)
            if isinstance(result, Package)
        }

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            if state.transactions[transaction.number].step is not Step.UPLOADED:
                return ()
            found = (
                *findings,
                *record_findings(packages.values()),
                *transactions.verification_findings(state, transaction, packages),
            )
            if found:
                return (actions.Rejected(transaction.number, found),)
            return (actions.Verified(transaction.number, tuple(packages.values())),)

        self.append(Author(SERVICE, "verified every byte"), decide)

    # ------------------------------------------------------------------ publishing

    def _publish(self) -> None:
        """Until nothing is ready: judge, index, read back, move the pointer."""
        while True:
            self.refresh()
            if self.state.candidate is not None and self._finish_candidate():
                continue
            batch = [item for item in transactions.next_batch(self.state) if self._may_go_on(item)]
            if not batch:
                return
            accepted, notes = self._judge(batch)
            if accepted:
                self._index(accepted, notes)

    def _may_go_on(self, transaction: Transaction) -> bool:
        first = self.state.current == 0
        needed = self.policy.two_persons and not first and transactions.needs_approval(transaction.manifest)
        return not needed or transactions.is_approved(transaction)

    def _judge(self, batch: Sequence[Transaction]) -> tuple[list[Transaction], tuple[Finding, ...]]:
        """Those that pass together, and what their overrides let through; the others are rejected.

        All are judged at once; only when there are findings is it asked whose they are.
        """
        refused: dict[int, tuple[Finding, ...]] = {}
        notes: list[Finding] = []
        accepted: list[Transaction] = []
        good = [item for item in batch if not self._base(item, refused, notes)]
        together = len(good) > 1 and not self._findings(good)
        for transaction in good:
            found = () if together else self._findings([*accepted, transaction])
            against = tuple(item for item in found if not transactions.allowed_by_override(item, transaction.manifest))
            if against:
                refused[transaction.number] = against
            else:
                accepted.append(transaction)
                notes += found
        return (accepted, tuple(dict.fromkeys(notes))) if self._reject(refused) else ([], ())

    def _base(self, transaction: Transaction, refused: dict[int, tuple[Finding, ...]], notes: list[Finding]) -> bool:
        """Whether what is published already refuses a transaction."""
        found = transactions.base_findings(self.state, transaction)
        against = tuple(item for item in found if not transactions.allowed_by_override(item, transaction.manifest))
        if against:
            refused[transaction.number] = against
        else:
            notes += found
        return bool(against)

    def _findings(self, batch: Sequence[Transaction]) -> tuple[Finding, ...]:
        """What the gate says of a batch."""
        changes = self.state.changes_of(batch)
        listing = self.state.listing_change(changes)
        arches = self._architectures(changes.publish)
        current = self._work.listings
        return tuple(
            finding
            for arch in arches
            for finding in judge(current.get(arch) or Listing(), arch_change(listing, arch), arch, self.policy.worlds)
        )

    def _reject(self, refused: Mapping[int, tuple[Finding, ...]]) -> bool:
        """Write the refusals; False when somebody changed the state meanwhile, so that all must be judged anew."""
        base = self.state.head.number

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            if state.head.number != base:
                return ()
            return tuple(actions.Rejected(number, findings) for number, findings in refused.items())

        return not refused or bool(self.append(Author(SERVICE, "the gate refused it"), decide))

    def _index(self, batch: Sequence[Transaction], notes: tuple[Finding, ...]) -> None:
        """Write and sign a candidate generation."""
        with self._lock:
            base, codec = self.state.current, canonical_codec()
            changes = self.state.changes_of(batch)
            listing = self.state.listing_change(changes)
            images = dict(self._work.images)
            arches = self._architectures(changes.publish)
            keys = self._keys_after(changes)
        for arch in arches:  # readers go on meanwhile; nobody else publishes in this process
            images[arch] = changed_image(images.get(arch) or IndexImage(), arch_change(listing, arch), codec)
        signers = tuple(self.equipment.signers.signer(name) for name in keys)
        indexed = self._write(base + 1, batch, images, signers, codec, notes)
        with self._lock:
            self._prepared = _Prepared(indexed.document, images, listing)
        numbers = [item.number for item in batch]

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            ready = all(state.transactions[number].step is Step.VERIFIED for number in numbers)
            return (indexed,) if ready and state.current == base and state.candidate is None else ()

        self.append(Author(SERVICE, "indexed"), decide)

    def _keys_after(self, changes: Changes) -> tuple[str, ...]:
        states = {key.name: key.state for key in self.state.keys.values()} | {item.name: item.state for item in changes.keys}
        names = tuple(sorted(name for name, state in states.items() if state in SIGNING))
        if not names:
            raise UsageError("no key is left to sign with", reason="no-signing-key", hint="make a key active first")
        return names

    def _write(
        self,
        number: int,
        batch: Sequence[Transaction],
        images: Mapping[str, IndexImage],
        signers: Sequence[SectionSigner],
        codec: Codec,
        notes: tuple[Finding, ...],
    ) -> Indexed:
        """All files of a generation, in the store; the row that names them."""
        arches = []
        for arch, image in sorted(images.items()):
            data = index_bytes(image, f"{self.name} {number}", codec, signers)
            arches.append(ArchIndex(arch, self._keep(data), len(data), image.size))
        created = int(self.equipment.clock.now())
        previous = self.state.generations.get(self.state.current)
        described = Described(
            repository=self.name,
            generation=number,
            previous=number - 1,
            previous_document=previous.document if previous else "",
            created=created,
            expires=created + self.policy.lifetime,
            ledger=self.state.head.hash,
            arches=tuple((item.arch, item.sha256, item.size, item.packages) for item in arches),
            sums=self._keep(sums_bytes(images)),
            keys=tuple(signer.name for signer in signers),
            codec=codec.name,
        )
        document = document_bytes(described)
        return Indexed(
            generation=number,
            base=number - 1,
            transactions=tuple(item.number for item in batch),
            arches=tuple(arches),
            sums=described.sums,
            document=self._keep(document),
            signature=self._keep(signature_bytes(document, signers)),
            created=created,
            expires=described.expires,
            keys=described.keys,
            codec=codec.name,
            notes=notes,
        )

    def renew(self, within: int) -> bool:
        """Sign the current generation's document anew when it expires in less than `within` seconds; whether it did.

        The indexes stay as they are (spec §4.4): only `created`, `expires` and the keys that sign change.
        """
        with self._publishing:
            state, now = self.refresh(), int(self.equipment.clock.now())
            generation = state.generations.get(state.current)
            if generation is None or generation.expires - now > within:
                return False
            keys = state.signing_keys()
            indexed = generation.indexed
            previous = state.generations.get(generation.number - 1)
            described = Described(
                repository=self.name,
                generation=generation.number,
                previous=generation.number - 1,
                previous_document=previous.document if previous else "",
                created=now,
                expires=now + self.policy.lifetime,
                ledger=generation.ledger,
                arches=tuple((item.arch, item.sha256, item.size, item.packages) for item in indexed.arches),
                sums=indexed.sums,
                keys=keys,
                codec=indexed.codec,
            )
            document = document_bytes(described)
            signature = signature_bytes(document, [self.equipment.signers.signer(name) for name in keys])
            row = actions.Renewed(generation.number, self._keep(document), self._keep(signature), now, described.expires, keys)

            def decide(state: RepositoryState) -> Sequence[AnyAction]:
                return (row,) if state.generations.get(state.current) == generation else ()

            return bool(self.append(Author(SERVICE, "the document expires soon"), decide))

    def _keep(self, data: bytes) -> str:
        digest = hex_digest(data)
        self.equipment.blobs.put(Digest.sha256(bytes.fromhex(digest)), pieces(data))
        return digest

    def _finish_candidate(self) -> bool:
        """Read the candidate back as a client would, and point to it; True when the pointer moved or somebody moved it."""
        with self._lock:
            indexed = self.state.candidate
            assert indexed is not None
            batch = [self.state.transactions[number] for number in indexed.transactions]
            changes = self.state.changes_of(batch)
            listing = self.state.listing_change(changes)
            pems = {key.name: key.pem for key in self.state.keys.values()} | {
                item.name: item.pem for item in changes.keys if item.pem
            }
        keys = {name: pems[name] for name in indexed.keys}
        try:
            read_back(f"{self.equipment.public_url}/{self.name}", indexed, listing, keys, self.equipment)
        except (VerificationError, UnavailableError) as error:
            mine = self._prepared is not None and self._prepared.document == indexed.document
            if isinstance(error, UnavailableError) and self._is_complete(indexed):
                raise  # nothing is wrong with the candidate; the path to it is
            self._drop(indexed)
            if mine:
                raise
            return True  # another process left it; a new one is made of the same transactions

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            return (actions.Live(indexed.generation, indexed.document),) if state.candidate == indexed else ()

        versions = [
            Claim("version", f"{package.arch}/{package.key.name_version}", package.content) for package in changes.publish
        ]
        claims = (*versions, Claim("generation", str(indexed.generation), indexed.document))
        self.append(Author(SERVICE, "read back through the public path"), decide, lambda _: claims)
        return True

    def _is_complete(self, indexed: Indexed) -> bool:
        files = (indexed.document, indexed.signature, indexed.sums, *(index.sha256 for index in indexed.arches))
        return len(self._present(dict.fromkeys(files, 0))) == len(set(files))

    def _drop(self, indexed: Indexed) -> None:
        """Give up a candidate that is not what it should be; its transactions are verified as before."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            return (actions.Dropped(indexed.generation, indexed.document),) if state.candidate == indexed else ()

        self.append(Author(SERVICE, "the candidate could not be read back"), decide)


def _bounded(chunks: Iterable[bytes], limit: int, digest: str) -> Iterable[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise VerificationError(
                f"the file is longer than the {limit} bytes that were declared",
                reason="size-mismatch",
                origin=Origin(digest=f"sha256:{digest}"),
            )
        yield chunk


def _stored(row: Row) -> StoredRow:
    kind = type(row.body).__name__.lower()
    return StoredRow(row.number, row.at, row.actor, kind, row.previous, row.hash, encode(row))
