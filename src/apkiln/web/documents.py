"""What the interface says, as types; OpenAPI is derived from them (spec repository.md §3.9, §10.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from apkiln.repository.browsing.differences import Difference
from apkiln.repository.browsing.standing import standing
from apkiln.repository.ledger.actions import Finding, Manifest, Selection
from apkiln.repository.ledger.packages import Key, Package
from apkiln.repository.ledger.state import RepositoryState, Step, Transaction
from apkiln.repository.reconciling import Incident


class OpenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST tx`."""

    manifest: Manifest
    reason: str = ""


class ChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST withdraw`, `POST restore`."""

    builds: tuple[Selection, ...]
    reason: str


class ReasonRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that needs no more than a reason."""

    reason: str = ""


class SnapshotRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST snapshots`: a name for a generation, for ever."""

    name: str
    generation: int


class HoldRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST holds`: a blob (hex SHA-256) or a generation that nothing collects."""

    until: int
    """Unix seconds; 0 releases it."""
    blob: str = ""
    generation: int = 0


class IndexSummary(msgspec.Struct, frozen=True):
    """One index of a generation."""

    sha256: str
    size: int
    packages: int


class ReceiptEntry(msgspec.Struct, frozen=True):
    """One package that is live."""

    arch: str
    name: str
    version: str
    sha256: str
    control_sha1: str


class Receipt(msgspec.Struct, frozen=True):
    """The proof that something is published; it exists for live transactions only."""

    receipt: int
    repo: str
    tx: int
    generation: int
    live_at: int
    """Unix seconds."""
    index: dict[str, IndexSummary]
    entries: tuple[ReceiptEntry, ...]
    withdrawn: tuple[str, ...]
    pending_arch: tuple[str, ...]
    ledger_hash: str


class TransactionDocument(msgspec.Struct, frozen=True):
    """A transaction as it stands."""

    tx: int
    state: str
    actor: str
    opened: int
    """Unix milliseconds."""
    changed: int
    missing: tuple[str, ...]
    """Hex SHA-256 of declared files that are still to be uploaded."""
    approved: bool
    held: tuple[Finding, ...]
    """Quarantine: why a second person must agree."""
    findings: tuple[Finding, ...]
    receipt: Receipt | None


class PackageVersion(msgspec.Struct, frozen=True):
    """One version of a package."""

    arch: str
    name: str
    version: str
    state: str
    """`live`, `retained`, `aside`, `withdrawn` or `collected`."""
    sha256: str
    size: int
    origin: str
    tx: int
    changed: int
    reason: str


class PackageDocument(msgspec.Struct, frozen=True):
    """`GET packages/NAME`."""

    name: str
    latest: dict[str, str]
    """Newest listed version by architecture."""
    versions: tuple[PackageVersion, ...]


class DifferenceDocument(msgspec.Struct, frozen=True):
    """`GET diff`: what one generation lists and another does not, as `arch/name-version`."""

    origin: int
    target: int
    added: tuple[str, ...]
    removed: tuple[str, ...]


class IncidentDocument(msgspec.Struct, frozen=True):
    """Something that is not as it should be."""

    kind: str
    subject: str
    detail: str
    since: int
    """Unix milliseconds."""
    pages: bool


def receipt_of(state: RepositoryState, transaction: Transaction) -> Receipt | None:
    """None unless the transaction is live."""
    if transaction.step is not Step.LIVE:
        return None
    generation = state.generations[transaction.generation]
    manifest = transaction.manifest
    return Receipt(
        1,
        state.repository,
        transaction.number,
        generation.number,
        generation.live_at // 1000,
        {item.arch: IndexSummary(item.sha256, item.size, item.packages) for item in generation.indexed.arches},
        tuple(_entry(package) for package in transaction.packages),
        tuple(key.name_version for selection in manifest.withdraw for key in state.resolve(selection)),
        tuple(f"{origin}-{version} {arch}" for (origin, version, arch), tx in state.pending.items() if tx == transaction.number),
        generation.ledger,
    )


def _entry(package: Package) -> ReceiptEntry:
    return ReceiptEntry(package.arch, package.name, package.version, package.digest, package.identity)


def transaction_document(state: RepositoryState, transaction: Transaction, missing: tuple[str, ...]) -> TransactionDocument:
    """The whole of it."""
    from apkiln.repository.transactions import is_approved

    return TransactionDocument(
        transaction.number,
        transaction.step.value,
        transaction.actor,
        transaction.opened,
        transaction.changed,
        missing,
        is_approved(transaction),
        transaction.held,
        transaction.findings,
        receipt_of(state, transaction),
    )


def package_document(state: RepositoryState, name: str, keys: Sequence[Key]) -> PackageDocument | None:
    """Every version that was ever accepted, newest first, which is how `keys` names them; None when there is none."""
    if not keys:
        return None
    latest: dict[str, str] = {}
    versions = []
    for key in keys:
        accepted = state.accepted[key]
        if key in state.listed(key.arch, key.name):
            latest.setdefault(key.arch, key.version)
        package = accepted.package
        versions.append(
            PackageVersion(
                *key,
                standing(state, key),
                package.digest,
                package.size,
                package.origin,
                accepted.transaction,
                accepted.changed,
                accepted.reason,
            )
        )
    return PackageDocument(name, latest, tuple(versions))


def difference_document(found: Difference, origin: int, target: int) -> DifferenceDocument:
    """What changed between two generations."""

    def names(keys: Iterable[Key]) -> tuple[str, ...]:
        return tuple(sorted(f"{key.arch}/{key.name_version}" for key in keys))

    return DifferenceDocument(origin, target, names(found.added), names(found.removed))


def incident_document(incident: Incident) -> IncidentDocument:
    """For people and for webhooks."""
    return IncidentDocument(*incident.difference, incident.since, incident.pages)
