"""From verified transactions to a live generation (spec repository.md §4): judge, index, read back, move the pointer."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError, UsageError, VerificationError
from apkiln.formats.apk.signing import SectionSigner
from apkiln.formats.deflate.codec import Codec, canonical_codec
from apkiln.repository import transactions
from apkiln.repository.equipment import SERVICE, Equipment, Policy
from apkiln.repository.gate import judge
from apkiln.repository.generations import (
    Described,
    IndexImage,
    arch_change,
    changed_image,
    document_bytes,
    hex_digest,
    index_bytes,
    signature_bytes,
    sums_bytes,
)
from apkiln.repository.journal import Journal, Prepared
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import SIGNING, AnyAction, ArchIndex, Finding, Indexed
from apkiln.repository.ledger.changes import Changes, changes_of, listing_change
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import RepositoryState, Step, Transaction
from apkiln.repository.listing import Listing
from apkiln.repository.read_back import read_back
from apkiln.system.blob_store import BlobStore, pieces
from apkiln.system.ledger_store import Claim


class _Moved(Exception):
    """Somebody published meanwhile: judge again, on what is current now."""


class Promotion:
    """See the module.  One at a time in a process; `lock` is held by whoever does it."""

    def __init__(self, journal: Journal, policy: Policy) -> None:
        self._journal = journal
        self._equipment: Equipment = journal.equipment
        self._policy = policy
        self.lock = threading.Lock()

    def publish(self) -> None:
        """Until nothing is ready: judge, index, read back, move the pointer."""
        while True:
            with self._journal.lock:
                state = self._journal.refresh()
                self._journal.catch_up()
                candidate, base = state.candidate, state.current
                batch = transactions.next_batch(state, self._may_go_on)
            if candidate is not None:
                self._finish_candidate(candidate)
                continue
            if not batch:
                return
            with suppress(_Moved):
                accepted, notes = self._judge(batch, base)
                if accepted:
                    self._index(accepted, notes, base)

    def _may_go_on(self, transaction: Transaction) -> bool:
        first = self._journal.state.current == 0
        needed = self._policy.two_persons and not first and transactions.needs_approval(transaction.manifest)
        return not (needed or transaction.held) or transactions.is_approved(transaction)

    def _judge(self, batch: Sequence[Transaction], base: int) -> tuple[list[Transaction], tuple[Finding, ...]]:
        """Those that pass together, and what their overrides let through; the others are rejected.

        All are judged at once; only when there are findings is it asked whose they are.
        """
        refused: dict[int, tuple[Finding, ...]] = {}
        notes: list[Finding] = []
        accepted: list[Transaction] = []
        with self._on(base):
            good = [item for item in batch if not self._base(item, refused, notes)]
        together = len(good) > 1 and not self._findings(good, base)
        for transaction in good:
            found = () if together else self._findings([*accepted, transaction], base)
            against = tuple(item for item in found if not transactions.allowed_by_override(item, transaction.manifest))
            if against:
                refused[transaction.number] = against
            else:
                accepted.append(transaction)
                notes += found
        self._reject(refused, base)
        return accepted, tuple(dict.fromkeys(notes))

    @contextmanager
    def _on(self, base: int) -> Iterator[None]:
        """The state, as long as that generation is the current one."""
        with self._journal.lock:
            if self._journal.state.current != base:
                raise _Moved
            yield

    def _base(self, transaction: Transaction, refused: dict[int, tuple[Finding, ...]], notes: list[Finding]) -> bool:
        """Whether what is published already refuses a transaction."""
        found = transactions.base_findings(self._journal.state, transaction)
        against = tuple(item for item in found if not transactions.allowed_by_override(item, transaction.manifest))
        if against:
            refused[transaction.number] = against
        else:
            notes += found
        return bool(against)

    def _findings(self, batch: Sequence[Transaction], base: int) -> tuple[Finding, ...]:
        """What the gate says of a batch."""
        with self._on(base):
            changes = changes_of(self._journal.state, batch)
            listing = listing_change(self._journal.state, changes)
            arches = self._journal.architectures(changes.publish)
        current = self._journal.listings
        return tuple(
            finding
            for arch in arches
            for finding in judge(current.get(arch) or Listing(), arch_change(listing, arch), arch, self._policy.worlds)
        )

    def _reject(self, refused: Mapping[int, tuple[Finding, ...]], base: int) -> None:
        """Write the refusals, if they are still what the current generation says."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            if state.current != base:
                raise _Moved
            verified = {number for number in refused if state.transactions[number].step is Step.VERIFIED}
            return tuple(actions.Rejected(number, refused[number]) for number in refused if number in verified)

        if refused:
            self._journal.append(Author(SERVICE, "the gate refused it"), decide)

    def _index(self, batch: Sequence[Transaction], notes: tuple[Finding, ...], base: int) -> None:
        """Write and sign a candidate generation."""
        codec = canonical_codec()
        with self._on(base):
            changes = changes_of(self._journal.state, batch)
            listing = listing_change(self._journal.state, changes)
            images = dict(self._journal.images)
            arches = self._journal.architectures(changes.publish)
            keys = self._keys_after(changes)
        for arch in arches:  # readers go on meanwhile; nobody else publishes in this process
            images[arch] = changed_image(images.get(arch) or IndexImage(), arch_change(listing, arch), codec)
        signers = tuple(self._equipment.signers.signer(name) for name in keys)
        indexed = self._write(base + 1, batch, images, signers, codec, notes)
        with self._journal.lock:
            self._journal.prepared = Prepared(indexed.document, images, listing)
        numbers = [item.number for item in batch]

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            ready = all(state.transactions[number].step is Step.VERIFIED for number in numbers)
            return (indexed,) if ready and state.current == base and state.candidate is None else ()

        self._journal.append(Author(SERVICE, "indexed"), decide)

    def _keys_after(self, changes: Changes) -> tuple[str, ...]:
        states = {key.name: key.state for key in self._journal.state.keys.values()} | {
            item.name: item.state for item in changes.keys
        }
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
            data = index_bytes(image, f"{self._journal.name} {number}", codec, signers)
            arches.append(ArchIndex(arch, self._keep(data), len(data), image.size))
        created = int(self._equipment.clock.now())
        previous = self._journal.state.generations.get(self._journal.state.current)
        described = Described(
            repository=self._journal.name,
            generation=number,
            previous=number - 1,
            previous_document=previous.document if previous else "",
            created=created,
            expires=created + self._policy.lifetime,
            ledger=self._journal.state.head.hash,
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
        with self.lock:
            state, now = self._journal.refresh(), int(self._equipment.clock.now())
            generation = state.generations.get(state.current)
            if generation is None or generation.expires - now > within:
                return False
            keys = state.signing_keys()
            indexed = generation.indexed
            previous = state.generations.get(generation.number - 1)
            described = Described(
                repository=self._journal.name,
                generation=generation.number,
                previous=generation.number - 1,
                previous_document=previous.document if previous else "",
                created=now,
                expires=now + self._policy.lifetime,
                ledger=generation.ledger,
                arches=tuple((item.arch, item.sha256, item.size, item.packages) for item in indexed.arches),
                sums=indexed.sums,
                keys=keys,
                codec=indexed.codec,
            )
            document = document_bytes(described)
            signature = signature_bytes(document, [self._equipment.signers.signer(name) for name in keys])
            row = actions.Renewed(generation.number, self._keep(document), self._keep(signature), now, described.expires, keys)

            def decide(state: RepositoryState) -> Sequence[AnyAction]:
                return (row,) if state.generations.get(state.current) == generation else ()

            return bool(self._journal.append(Author(SERVICE, "the document expires soon"), decide))

    def _keep(self, data: bytes) -> str:
        digest = hex_digest(data)
        self._equipment.blobs.put(Digest.sha256(bytes.fromhex(digest)), pieces(data))
        return digest

    def _finish_candidate(self, indexed: Indexed) -> None:
        """Read the candidate back as a client would, and point to it, unless somebody else does."""
        with self._journal.lock:
            if self._journal.state.candidate != indexed:
                return
            batch = [self._journal.state.transactions[number] for number in indexed.transactions]
            changes = changes_of(self._journal.state, batch)
            listing = listing_change(self._journal.state, changes)
            pems = {key.name: key.pem for key in self._journal.state.keys.values()} | {
                item.name: item.pem for item in changes.keys if item.pem
            }
        keys = {name: pems[name] for name in indexed.keys}
        try:
            read_back(f"{self._equipment.public_url}/{self._journal.name}", indexed, listing, keys, self._equipment)
        except (VerificationError, UnavailableError) as error:
            if self._journal.refresh().candidate != indexed:
                return  # another process was quicker
            mine = self._journal.prepared is not None and self._journal.prepared.document == indexed.document
            if isinstance(error, UnavailableError) and self._is_complete(indexed):
                raise  # nothing is wrong with the candidate; the path to it is
            self._drop(indexed)
            if mine:
                raise
            return  # another process left it; a new one is made of the same transactions

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            return (actions.Live(indexed.generation, indexed.document),) if state.candidate == indexed else ()

        versions = [
            Claim("version", f"{package.arch}/{package.key.name_version}", package.content) for package in changes.publish
        ]
        claims = (*versions, Claim("generation", str(indexed.generation), indexed.document))
        self._journal.append(Author(SERVICE, "read back through the public path"), decide, lambda _: claims)

    def _is_complete(self, indexed: Indexed) -> bool:
        files = (indexed.document, indexed.signature, indexed.sums, *(index.sha256 for index in indexed.arches))
        return len(present(self._equipment.blobs, files)) == len(set(files))

    def _drop(self, indexed: Indexed) -> None:
        """Give up a candidate that is not what it should be; its transactions are verified as before."""

        def decide(state: RepositoryState) -> Sequence[AnyAction]:
            return (actions.Dropped(indexed.generation, indexed.document),) if state.candidate == indexed else ()

        self._journal.append(Author(SERVICE, "the candidate could not be read back"), decide)


def present(blobs: BlobStore, digests: Iterable[str]) -> dict[str, int]:
    """Hex digest → size of those that the store has."""
    sizes = {digest: blobs.size(Digest.sha256(bytes.fromhex(digest))) for digest in digests}
    return {digest: size for digest, size in sizes.items() if size is not None}
