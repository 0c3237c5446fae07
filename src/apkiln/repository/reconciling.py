"""The reconciler: what is intended against what is there, for ever and without repairing in silence (spec repository.md §5).

Each comparison gives differences of one class; `Incidents` keeps since when each has been there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.signature import verify
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.collecting import known_blobs, needed_blobs
from apkiln.repository.expectations import NOTHING, Expectations, differences_of
from apkiln.repository.gate import judge
from apkiln.repository.generations import arch_change, full_image, index_bytes
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.folding import fold
from apkiln.repository.ledger.packages import Package
from apkiln.repository.ledger.rows import decode, verified
from apkiln.repository.ledger.state import Generation, Status, Step, Transaction, TrustedKey
from apkiln.repository.listing import Listing
from apkiln.repository.service import RepositoryService
from apkiln.repository.transactions import is_approved, needs_approval

STUCK = 120_000
"""Milliseconds after which a committed transaction that has not ended is an incident."""
PENDING = 3_600_000
"""The same for an architecture that a build lacks."""
WAITING = 86_400_000
"""The same for a second person."""
PAGING = frozenset(
    {"blob-missing", "blob-corrupt", "index-drift", "unfetchable", "untrusted", "ledger", "edge-wrong", "incomplete-index"}
)
"""Classes that wake somebody."""


class Difference(NamedTuple):
    """Something that is not as it should be."""

    kind: str
    subject: str
    detail: str = ""


class Incident(NamedTuple):
    """A difference and how long it has been there."""

    difference: Difference
    since: int
    """Unix milliseconds."""

    @property
    def pages(self) -> bool:
        return self.difference.kind in PAGING


class Incidents:
    """Differences by subject, with their age."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], int] = {}
        self.open: tuple[Incident, ...] = ()

    def take(self, found: Iterable[Difference], now: int) -> tuple[Incident, ...]:
        """The result of a whole comparison; what is no longer found is over."""
        by_subject = {(item.kind, item.subject): item for item in found}
        self._since = {place: self._since.get(place, now) for place in by_subject}
        self.open = tuple(Incident(by_subject[place], self._since[place]) for place in sorted(by_subject))
        return self.open


def compare(service: RepositoryService, expected: Expectations = NOTHING, *, deep: bool = False) -> Iterator[Difference]:
    """Every difference: ledger, blobs, generation, public path, transactions, and what others expect of the repository.

    `deep`: also every byte of every listed package, the installability of everything, and the ledger folded anew.  The
    service goes on meanwhile: what is compared is what was intended at one moment.
    """
    service.refresh()
    intent = intent_of(service)
    yield from _stuck(intent)
    yield from _blobs(service, intent, deep)
    if intent.generation is not None:
        yield from _generation(service, intent, intent.generation)
        yield from _public(service, intent, intent.generation)
    with service.reading() as state:
        surprises = tuple(differences_of(expected, state, intent.now))
    yield from (Difference(*surprise) for surprise in surprises)
    if deep:
        yield from _packages(service, intent)
        yield from _ledger(service)
        yield from _closure(intent)


@dataclass(frozen=True, slots=True)
class Intent:
    """What is intended at one moment."""

    now: int
    """Unix milliseconds."""
    unfinished: tuple[Transaction, ...]
    pending: tuple[tuple[str, Transaction], ...]
    """`origin-version arch` and the transaction that went live without it."""
    needed: frozenset[str]
    """Blobs that must be there."""
    others: frozenset[str]
    """Blobs that may be there: of other repositories, known and waiting for a sweep, marked, or about to be removed."""
    listing: tuple[Package, ...]
    generation: Generation | None
    keys: tuple[TrustedKey, ...]
    arches: tuple[str, ...]


def intent_of(service: RepositoryService) -> Intent:
    """Of a service as it stands."""
    now = int(service.equipment.clock.now() * 1000)
    others = [
        needed_blobs(item, now, service.policy) | known_blobs(item) | item.marked.keys() | item.removed
        for item in service.neighbours()
    ]
    with service.reading() as state:
        unfinished = tuple(state.transactions[number] for number in state.unfinished)
        awaited = {file.sha256 for item in unfinished if item.step is Step.OPEN for file in item.manifest.files}
        needed = needed_blobs(state, now, service.policy)
        return Intent(
            now,
            unfinished,
            tuple(
                (f"{origin}-{version} {arch}", state.transactions[number])
                for (origin, version, arch), number in sorted(state.pending.items())
            ),
            needed - awaited,
            frozenset().union(awaited, known_blobs(state), state.marked.keys(), state.removed, *others),
            tuple(state.listing()),
            state.generations.get(state.current),
            tuple(state.keys.values()),
            tuple(sorted((state.homes | set(state.arches)) - {NOARCH})),
        )


def _stuck(intent: Intent) -> Iterator[Difference]:
    for transaction in intent.unfinished:
        if transaction.step is Step.VERIFIED and transaction.held and not is_approved(transaction):
            yield Difference("quarantined", str(transaction.number), transaction.held[0].message)
            continue
        committed = transaction.step not in (Step.OPEN, Step.VERIFIED) or not needs_approval(transaction.manifest)
        if transaction.step is not Step.OPEN and committed and intent.now - transaction.changed > STUCK:
            yield Difference("transaction-stuck", str(transaction.number), f"it has been {transaction.step.value}")
        elif transaction.step is Step.VERIFIED and not committed and intent.now - transaction.changed > WAITING:
            yield Difference("approval-pending", str(transaction.number), "it waits for a second person")
    for place, transaction in intent.pending:
        if intent.now - transaction.changed > PENDING:
            yield Difference("arch-pending", place, f"since transaction {transaction.number}")


def _blobs(service: RepositoryService, intent: Intent, deep: bool) -> Iterator[Difference]:
    """The intent is older than the look at the store, so what it needs must be there; what came later is asked for again."""
    present = {entry.digest.hex: entry.size for entry in service.equipment.blobs.list()}
    own = {package.digest: package for package in intent.listing}
    for blob in sorted(intent.needed):
        name = own[blob].key.name_version if blob in own else ""
        if blob not in present:
            yield Difference("blob-missing", blob, name)
        elif (blob in own and present[blob] != own[blob].size) or (deep and not _is_whole(service, blob)):
            yield Difference("blob-corrupt", blob, name)
    strangers = present.keys() - intent.needed - intent.others
    if strangers:
        service.refresh()
        later = intent_of(service)
        for blob in sorted(strangers - later.needed - later.others):
            yield Difference("orphan", blob, "nothing that went live had it, and no sweep has marked it yet")


def _is_whole(service: RepositoryService, blob: str) -> bool:
    chunks = service.equipment.blobs.read(Digest.sha256(bytes.fromhex(blob)))
    digest = hashlib.sha256()
    for chunk in chunks or ():
        digest.update(chunk)
    return digest.hexdigest() == blob


def _generation(service: RepositoryService, intent: Intent, generation: Generation) -> Iterator[Difference]:
    """The indexes made anew from the ledger are those that the generation names (I12)."""
    codec = canonical_codec()
    if codec.name != generation.indexed.codec:
        return
    for index in generation.indexed.arches:
        packages = [package for package in intent.listing if package.arch in (index.arch, NOARCH)]
        made = index_bytes(full_image(packages, codec), f"{service.name} {generation.number}", codec, ())
        stored = service.equipment.blobs.read(Digest.sha256(bytes.fromhex(index.sha256)))
        if stored is None:
            continue  # said as blob-missing
        try:
            signed = read_index(b"".join(stored), service.equipment.limits).signed_bytes
        except ApkilnError as fault:
            yield Difference("index-drift", index.arch, str(fault))
            continue
        if signed != made:
            yield Difference("index-drift", index.arch, "the ledger says something else than the index")


def _public(service: RepositoryService, intent: Intent, generation: Generation) -> Iterator[Difference]:
    """What is served is signed, and the current index or one that became current since."""
    equipment, url = service.equipment, f"{service.equipment.public_url}/{service.name}"
    keyring = Keyring.of(parse_public_key(key.name, key.pem.encode()) for key in intent.keys if key.state != "revoked")
    for index in generation.indexed.arches:
        place = f"{url}/{index.arch}/APKINDEX.tar.gz"
        data = bytearray()
        try:
            equipment.public.fetch(place, data.extend, limit=equipment.limits.index_decompressed)
            read = read_index(bytes(data), equipment.limits)
            verify(read.signatures, read.signed_bytes, keyring, allow_sha1=False)
        except ApkilnError as fault:
            kind = "untrusted" if fault.reason.startswith("signature") else "edge-wrong"
            yield Difference(kind, place, str(fault))
            continue
        served = hashlib.sha256(data).hexdigest()
        if served != index.sha256 and not _is_index_since(service, generation.number, index.arch, served):
            known = _is_index_since(service, 0, index.arch, served)
            yield Difference("edge-stale" if known else "edge-wrong", place, f"it says `{read.description}`")


def _is_index_since(service: RepositoryService, number: int, arch: str, digest: str) -> bool:
    """Whether a digest is that of an index of a generation from `number` on."""
    service.refresh()
    with service.reading() as state:
        newer = [item for item in state.generations.values() if item.number >= number]
    return any((index.arch, index.sha256) == (arch, digest) for item in newer for index in item.indexed.arches)


def _packages(service: RepositoryService, intent: Intent) -> Iterator[Difference]:
    """Every listed package is served as it is listed (I1), unless it was withdrawn meanwhile."""
    url = f"{service.equipment.public_url}/{service.name}"
    for package in intent.listing:
        if not _is_served(service, url, package):
            with service.reading() as state:
                still = state.accepted[package.key].status is Status.LIVE
            if still:
                yield Difference("unfetchable", f"{package.arch}/{package.key.file}", "listed, and not served as listed")


def _is_served(service: RepositoryService, url: str, package: Package) -> bool:
    digest = hashlib.sha256()
    try:
        service.equipment.public.fetch(f"{url}/{package.arch}/{quote(package.key.file)}", digest.update, limit=package.size)
    except ApkilnError:
        return False
    return digest.hexdigest() == package.digest


def _ledger(service: RepositoryService) -> Iterator[Difference]:
    """The chain from its first row, and the state that follows from it (I13)."""
    try:
        rows = [decode(item.text) for item in service.equipment.ledgers.rows(service.name)]
        verified(rows, service.name)
        anew = fold(service.name, rows)
    except ApkilnError as fault:
        yield Difference("ledger", service.name, str(fault))
        return
    with service.reading() as state:
        differs = anew.head == state.head and anew.accepted != state.accepted
    if differs:
        yield Difference("ledger", service.name, "the state in memory does not follow from the ledger")


def _closure(intent: Intent) -> Iterator[Difference]:
    """Everything listed can be installed (I7): the gate's question, asked of all."""
    for arch in intent.arches:
        change = arch_change(ListingChange(intent.listing), arch)
        for finding in judge(Listing(), change, arch):
            yield Difference("closure", f"{finding.package} {arch}", finding.message)
