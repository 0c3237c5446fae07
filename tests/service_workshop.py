"""A repository service on twins, and what tests do with it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple

from tests.sample_packages import SamplePackage, sample_signer

from apkiln.core.digest import Digest
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.signature import verify
from apkiln.repository.direct import URL, DirectPath
from apkiln.repository.equipment import Equipment, NamedSigners, Policy
from apkiln.repository.examining import Examiner
from apkiln.repository.ledger.actions import Build, DeclaredPackage, KeyChange, Manifest, Selection
from apkiln.repository.ledger.rows import Author
from apkiln.repository.ledger.state import Transaction
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import BlobStore, MemoryBlobs
from apkiln.system.clock import ManualClock
from apkiln.system.ledger_store import LedgerStore, MemoryLedgers
from apkiln.system.signer import RsaSigner

OLD = sample_signer("os-old.rsa.pub")
NEW = sample_signer("os-new.rsa.pub")
ALICE = Author("alice", "build 1")
BOB = Author("bob", "looks right")
RELAXED = Policy(sign_packages=False)


class Places(NamedTuple):
    """What outlives a process."""

    ledgers: LedgerStore
    blobs: BlobStore
    clock: ManualClock


def places(ledgers: LedgerStore | None = None, blobs: BlobStore | None = None) -> Places:
    return Places(ledgers or MemoryLedgers(), blobs or MemoryBlobs(), ManualClock())


def started(
    where: Places,
    policy: Policy = RELAXED,
    signers: Iterable[RsaSigner] = (OLD, NEW),
    examiners: Sequence[Examiner] = (),
) -> RepositoryService:
    """A process on these places, which knows nothing but them."""
    box: list[RepositoryService] = []
    public = DirectPath(lambda: box[0].state, where.blobs)
    equipment = Equipment(where.ledgers, where.blobs, NamedSigners(signers), public, URL, where.clock, tuple(examiners), jobs=1)
    box.append(RepositoryService("os", equipment, policy))
    box[0].refresh()
    return box[0]


def created(where: Places | None = None, policy: Policy = RELAXED, arches: Sequence[str] = ("x86_64",)) -> RepositoryService:
    service = started(where or places(), policy)
    made = service.create(Author("root", "begin"), arches, [key_change(OLD, "active")])
    assert made.step.value == "live", made
    return service


def key_change(signer: RsaSigner, state: str) -> KeyChange:
    return KeyChange(signer.name, state, signer.public_key().decode())  # type: ignore[arg-type]


def declared(package: SamplePackage) -> DeclaredPackage:
    record = package.record
    return DeclaredPackage(record.arch, record.name, record.version, hex_of(package), len(package.data))


def hex_of(package: SamplePackage) -> str:
    return hashlib.sha256(package.data).hexdigest()


def manifest_of(*packages: SamplePackage, **fields: object) -> Manifest:
    return Manifest(files=tuple(map(declared, packages)), **fields)  # type: ignore[arg-type]


def publish(
    service: RepositoryService, *packages: SamplePackage, author: Author = ALICE, key: str = "", **fields: object
) -> Transaction:
    """Open, upload what is missing, commit."""
    opened = service.open(author, manifest_of(*packages, **fields), key)
    upload(service, opened, packages)
    return service.commit(author, opened.number)


def upload(service: RepositoryService, opened: Transaction, packages: Iterable[SamplePackage]) -> None:
    missing = service.missing(opened)
    for package in packages:
        if hex_of(package) in missing:
            service.upload(hex_of(package), [package.data])


def build_of(*packages: SamplePackage, arches: Sequence[str] = ("x86_64",), origin: str = "") -> Build:
    record = packages[0].record
    names = tuple(dict.fromkeys(package.record.name for package in packages))
    return Build(origin or record.origin, record.version, names, tuple(arches))


def selection(package: SamplePackage, **fields: str) -> Selection:
    return Selection(package.record.origin, package.record.version, **fields)


def listed(service: RepositoryService, arch: str = "x86_64", view: str = "") -> list[IndexRecord]:
    """The index as a strict client sees it: signature, and every listed package fetched and compared with its record."""
    keyring = published_keys(service)
    data = fetch(service, f"{view}{arch}/APKINDEX.tar.gz")
    index = read_index(data)
    verify(index.signatures, index.signed_bytes, keyring, allow_sha1=False)
    records = list(parse_index_text(index.text).records)
    for record in records:
        package = fetch(service, f"{view}{record.arch}/{record.name_version}.apk")
        read_package(_stream(package), expected=record)
    return records


def names(service: RepositoryService, arch: str = "x86_64", view: str = "") -> list[str]:
    return [record.name_version for record in listed(service, arch, view)]


def published_keys(service: RepositoryService) -> Keyring:
    keys = [key for key in service.state.keys.values() if key.state != "revoked"]
    return Keyring.of(parse_public_key(key.name, fetch(service, f"keys/{key.name}")) for key in keys)


def fetch(service: RepositoryService, path: str) -> bytes:
    received = bytearray()
    service.equipment.public.fetch(f"{URL}/os/{path}", received.extend, limit=1 << 30)
    return bytes(received)


def _stream(data: bytes) -> BinaryIO:
    return io.BytesIO(data)


def blob(service: RepositoryService, digest: str) -> bytes | None:
    chunks = service.equipment.blobs.read(Digest.sha256(bytes.fromhex(digest)))
    return None if chunks is None else b"".join(chunks)
