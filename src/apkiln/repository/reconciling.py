"""The reconciler: what is intended against what is there, for ever and without repairing in silence (spec repository.md §5).

Each comparison gives differences of one class; `Incidents` keeps since when each has been there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.signature import verify
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.collecting import needed_blobs
from apkiln.repository.gate import judge
from apkiln.repository.generations import arch_change, full_image, index_bytes
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.folding import fold
from apkiln.repository.ledger.packages import Package
from apkiln.repository.ledger.rows import decode, verified
from apkiln.repository.ledger.state import RepositoryState, Step
from apkiln.repository.listing import Listing
from apkiln.repository.service import RepositoryService

STUCK = 120_000
"""Milliseconds after which a committed transaction that has not ended is an incident."""
PENDING = 3_600_000
"""The same for an architecture that a build lacks."""
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


def compare(service: RepositoryService, *, deep: bool = False) -> Iterator[Difference]:
    """Every difference: ledger, blobs, generation, public path, transactions.

    `deep`: also every byte of every listed package, the installability of everything, and the ledger folded anew.
    """
    state = service.refresh()
    yield from _stuck(service, state)
    yield from _blobs(service, state, deep)
    if state.current:
        yield from _generation(service, state)
        yield from _public(service, state, deep)
    if deep:
        yield from _ledger(service)
        yield from _closure(state)


def _stuck(service: RepositoryService, state: RepositoryState) -> Iterator[Difference]:
    now = int(service.equipment.clock.now() * 1000)
    for number in state.unfinished:
        transaction = state.transactions[number]
        if transaction.step is not Step.OPEN and now - transaction.changed > STUCK:
            yield Difference("transaction-stuck", str(number), f"it has been {transaction.step.value}")
    for (origin, version, arch), number in sorted(state.pending.items()):
        if now - state.transactions[number].changed > PENDING:
            yield Difference("arch-pending", f"{origin}-{version} {arch}", f"since transaction {number}")


def _blobs(service: RepositoryService, state: RepositoryState, deep: bool) -> Iterator[Difference]:
    blobs, policy = service.equipment.blobs, service.policy
    now = int(service.equipment.clock.now() * 1000)
    present = {entry.digest.hex: entry.size for entry in blobs.list()}
    needed = needed_blobs(state, now, policy)
    foreign = [needed_blobs(item, now, policy) | item.marked.keys() | item.removed for item in service.neighbours()]
    own = {package.digest: package for package in state.listing()}
    for blob in sorted(needed):
        if blob not in present and not _awaited(state, blob):
            yield Difference("blob-missing", blob, own[blob].key.name_version if blob in own else "")
        elif blob in own and present.get(blob, own[blob].size) != own[blob].size:
            yield Difference("blob-corrupt", blob, own[blob].key.name_version)
        elif deep and blob in present and not _is_whole(service, blob):
            yield Difference("blob-corrupt", blob, own[blob].key.name_version if blob in own else "")
    for blob in sorted(present.keys() - needed.union(*foreign)):
        if blob not in state.marked and blob not in state.removed:
            yield Difference("orphan", blob, "nothing needs it, and no sweep has marked it yet")


def _awaited(state: RepositoryState, blob: str) -> bool:
    """Declared by an open transaction, and not uploaded yet."""
    return any(
        blob == file.sha256
        for number in state.unfinished
        for file in state.transactions[number].manifest.files
        if state.transactions[number].step is Step.OPEN
    )


def _is_whole(service: RepositoryService, blob: str) -> bool:
    chunks = service.equipment.blobs.read(Digest.sha256(bytes.fromhex(blob)))
    digest = hashlib.sha256()
    for chunk in chunks or ():
        digest.update(chunk)
    return digest.hexdigest() == blob


def _generation(service: RepositoryService, state: RepositoryState) -> Iterator[Difference]:
    """The indexes made anew from the ledger are those that the generation names (I12)."""
    indexed = state.generations[state.current].indexed
    codec = canonical_codec()
    if codec.name != indexed.codec:
        return
    for index in indexed.arches:
        packages = [package for package in state.listing() if package.arch in (index.arch, NOARCH)]
        made = index_bytes(full_image(packages, codec), f"{state.repository} {indexed.generation}", codec, ())
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


def _public(service: RepositoryService, state: RepositoryState, deep: bool) -> Iterator[Difference]:
    equipment, url = service.equipment, f"{service.equipment.public_url}/{service.name}"
    keyring = Keyring.of(parse_public_key(key.name, key.pem.encode()) for key in state.keys.values() if key.state != "revoked")
    for index in state.generations[state.current].indexed.arches:
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
        if hashlib.sha256(data).hexdigest() != index.sha256:
            older = any(index.arch == item.arch for item in state.generations[state.current].indexed.arches)
            yield Difference("edge-stale" if older else "edge-wrong", place, f"it says `{read.description}`")
    for package in state.listing() if deep else ():
        if not _is_served(service, url, package):
            yield Difference("unfetchable", f"{package.arch}/{package.key.file}", "listed, and not served as listed")


def _is_served(service: RepositoryService, url: str, package: Package) -> bool:
    digest = hashlib.sha256()
    try:
        service.equipment.public.fetch(f"{url}/{package.arch}/{package.key.file}", digest.update, limit=package.size)
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
    if anew.head == service.state.head and anew.accepted != service.state.accepted:
        yield Difference("ledger", service.name, "the state in memory does not follow from the ledger")


def _closure(state: RepositoryState) -> Iterator[Difference]:
    """Everything listed can be installed (I7): the gate's question, asked of all."""
    for arch in sorted({arch for arch, _ in state.names} | set(state.arches) - {NOARCH}):
        change = arch_change(ListingChange(tuple(state.listing())), arch)
        for finding in judge(Listing(), change, arch):
            yield Difference("closure", f"{finding.package} {arch}", finding.message)
