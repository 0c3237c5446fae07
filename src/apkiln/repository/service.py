"""One repository as a service: it appends to the ledger, keeps blobs, and moves the pointer (spec repository.md §3-§8).

Every write is one of: a blob under its digest, or rows appended where the ledger ended when they were decided.  So each step
can be repeated, whoever died in between: `recover` brings every unfinished transaction to its end.  What decides is pure and
elsewhere (`transactions`, `gate`, `generations`, `front`); the order of the writes is

    packages → indexes → candidate row → read back through the public path → live row

Here are the transactions; `journal` follows the ledger, `promotion` makes generations of what is verified.  Several processes
may run on one ledger: who loses the race for a row looks again and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError, UsageError, VerificationError
from apkiln.core.origin import Origin
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository import transactions
from apkiln.repository.equipment import SERVICE, Equipment, Policy
from apkiln.repository.examining import Examined, Verdict, joined
from apkiln.repository.gate import record_findings
from apkiln.repository.journal import Journal
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import AnyAction, Finding, KeyChange, Manifest
from apkiln.repository.ledger.packages import Package
from apkiln.repository.ledger.rows import Author, Row
from apkiln.repository.ledger.state import ENDED, RepositoryState, Step, Transaction
from apkiln.repository.promotion import Promotion, present
from apkiln.repository.quotas import UNLIMITED, Quota, check_quota
from apkiln.repository.verifying import verify_upload
from apkiln.system.ledger_store import Claim
from apkiln.system.parallel import map_in_threads


class RepositoryService:
    """See the module.  Methods may be called from several threads; publishing is one at a time."""

    def __init__(self, name: str, equipment: Equipment, policy: Policy | None = None) -> None:
        self.name = name
        self.policy = policy or Policy()
        self.equipment = equipment
        self.journal = Journal(name, equipment)
        self.promotion = Promotion(self.journal, self.policy)

    @property
    def state(self) -> RepositoryState:
        """Read it under `reading`, or live with a view that changes."""
        return self.journal.state

    def refresh(self) -> RepositoryState:
        """As `Journal.refresh`."""
        return self.journal.refresh()

    def append(
        self,
        author: Author,
        decide: Callable[[RepositoryState], Sequence[AnyAction]],
        claims: Callable[[RepositoryState], Sequence[Claim]] = lambda _: (),
    ) -> tuple[Row, ...]:
        """As `Journal.append`."""
        return self.journal.append(author, decide, claims)

    def neighbours(self) -> tuple[RepositoryState, ...]:
        """As `Journal.neighbours`."""
        return self.journal.neighbours()

    @contextmanager
    def reading(self) -> Iterator[RepositoryState]:
        """The state, which nobody changes meanwhile."""
        with self.journal.lock:
            yield self.state

    def warm(self) -> None:
        """Make what the first publication would wait for."""
        with self.promotion.lock:
            self.journal.catch_up()

    def renew(self, within: int) -> bool:
        """As `Promotion.renew`."""
        return self.promotion.renew(within)

    def create(self, author: Author, arches: Sequence[str], keys: Sequence[KeyChange], keep: int = 3) -> Transaction:
        """Begin the ledger; the first generation, empty and signed, is live afterwards.  May be repeated."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            fits = set(arches) <= set(state.arches) and state.head.number > 0
            return () if fits else (actions.Configured(tuple(sorted(set(arches))), keep),)

        self.append(author, decide)
        return self.run(author, Manifest(keys=tuple(keys)), "create")

    def run(self, author: Author, manifest: Manifest, idempotency_key: str = "", quota: Quota = UNLIMITED) -> Transaction:
        """Open, commit and process a transaction whose files are in the store already."""
        opened = self.open(author, manifest, idempotency_key, quota=quota)
        return self.commit(author, opened.number)

    def open(
        self,
        author: Author,
        manifest: Manifest,
        idempotency_key: str = "",
        teams: Sequence[str] = (),
        quota: Quota = UNLIMITED,
    ) -> Transaction:
        """A new transaction, or the one that this key opened before.

        Raises as `transactions.check_opening` and `quotas.check_quota`.
        """

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            if transactions.existing(state, manifest, idempotency_key) is not None:
                return ()
            if not state.head.number:
                raise UsageError(f"there is no repository `{self.name}`", reason="unknown-repository")
            check_quota(state, author.actor, manifest, quota, int(self.equipment.clock.now() * 1000))
            transactions.check_opening(state, manifest, teams)
            return (actions.Opened(manifest, idempotency_key, tuple(teams)),)

        rows = self.append(author, decide)
        with self.journal.lock:
            number = rows[0].number if rows else self.state.idempotency[idempotency_key]
            return self.state.transactions[number]

    def missing(self, transaction: Transaction) -> tuple[str, ...]:
        """Hex digests of declared files that are still to be uploaded, sorted."""
        wanted = transactions.declared_blobs(transaction.manifest)
        found = present(self.equipment.blobs, wanted)
        return tuple(sorted(digest for digest, size in wanted.items() if found.get(digest) != size))

    def check_declared(self, digest: str, size: int = 0) -> int:
        """The largest size under which an unfinished transaction declares a file.

        ConflictError `not-declared`; VerificationError `size-mismatch` when it is less than `size`.
        """
        with self.journal.lock:
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
            transactions.check_committing(transaction, present(self.equipment.blobs, wanted))
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
        with self.journal.lock:
            unfinished = (self.state.transactions[number] for number in self.state.unfinished)
            return tuple(item for item in unfinished if item.step is not Step.OPEN)

    def process(self, number: int) -> Transaction:
        """Verify and publish a committed transaction, as far as it goes now."""
        with self.journal.lock:
            transaction = self.state.transactions[number]
        if transaction.step is Step.UPLOADED:
            self._verify(transaction)
        if self.state.transactions[number].step in (Step.VERIFIED, Step.INDEXED):
            with self.promotion.lock:  # whoever holds it takes our transaction along
                if self.state.transactions[number].step in (Step.VERIFIED, Step.INDEXED):
                    self.promotion.publish()
        with self.journal.lock:
            return self.state.transactions[number]

    def _verify(self, transaction: Transaction) -> None:
        equipment, files = self.equipment, transaction.manifest.files
        with self.journal.lock:
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

        verdict = Verdict() if findings else self._examined(transaction, list(packages.values()))

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            if state.transactions[transaction.number].step is not Step.UPLOADED:
                return ()
            found = (
                *findings,
                *verdict.refuse,
                *record_findings(packages.values()),
                *transactions.verification_findings(state, transaction, packages),
            )
            if found:
                return (actions.Rejected(transaction.number, found),)
            return (actions.Verified(transaction.number, tuple(packages.values()), verdict.hold),)

        self.append(Author(SERVICE, "verified every byte"), decide)

    def _examined(self, transaction: Transaction, packages: Sequence[Package]) -> Verdict:
        """What the policies say."""
        if not packages or not self.equipment.examiners:
            return Verdict()
        with self.journal.lock:
            asked = [Examined(package, self._predecessor(package)) for package in packages]
        return joined([item.examine(self.name, transaction.actor, asked) for item in self.equipment.examiners])

    def _predecessor(self, package: Package) -> Package | None:
        live = self.state.names.get((package.arch, package.name), ())
        return self.state.accepted[live[-1]].package if live else None


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
