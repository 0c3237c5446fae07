"""A candidate generation read through the public path before anybody is pointed to it (spec repository.md §4.5, I1, I6)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from apkiln.core.errors import VerificationError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.formats.apk.generation import check_signatures
from apkiln.formats.apk.index import read_index
from apkiln.formats.apk.index_text import format_record
from apkiln.formats.apk.keys import Keyring, parse_public_key
from apkiln.formats.apk.signature import verify
from apkiln.repository.generations import arch_change
from apkiln.repository.ledger.actions import ArchIndex, Indexed
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Package, record_of

if TYPE_CHECKING:
    from apkiln.repository.equipment import Equipment


def read_back(url: str, indexed: Indexed, listing: ListingChange, keys: Mapping[str, str], equipment: Equipment) -> None:
    """Fetch the document, each index and each new package of a candidate, and check all of it.

    `keys`: file name → PEM of the keys that sign.  VerificationError `read-back-failed`; UnavailableError as the transfer
    gives it.
    """
    keyring = Keyring.of(parse_public_key(name, pem.encode()) for name, pem in keys.items())
    base = f"{url}/candidate/{indexed.document}"
    document = _fetch(f"{base}/generation.json", indexed.document, equipment)
    signatures = _fetch(f"{base}/generation.json.sig", indexed.signature, equipment)
    check_signatures(document, signatures, keyring)
    for index in indexed.arches:
        check_index(f"{base}/{index.arch}/APKINDEX.tar.gz", index, arch_change(listing, index.arch), keyring, equipment)
    for package in listing.added:
        _check_package(f"{base}/{package.arch}/{quote(package.key.file)}", package, equipment)


def check_index(url: str, index: ArchIndex, change: ListingChange, keyring: Keyring, equipment: Equipment) -> None:
    """Fetch an index: its digest, signature and count, every added record as it is, no removed one.

    VerificationError `read-back-failed`, and as `signature.verify`.  Cost: linear in the index.
    """
    data = _fetch(url, index.sha256, equipment, index.size)
    read = read_index(data, equipment.limits)
    verify(read.signatures, read.signed_bytes, keyring, allow_sha1=False)
    records = _blank_lines(read.text)
    if records != index.packages:
        raise _failed(url, f"it lists {records} packages instead of {index.packages}")
    few = len(change.added) + len(change.removed) <= _FEW
    listed: bytes | set[bytes] = b"\n" + read.text if few else {b"\n" + block + b"\n\n" for block in read.text.split(b"\n\n")}
    for package in change.added:
        if _block(package) not in listed:
            raise _failed(url, f"it does not list {package.key.name_version} as it is")
    for package in change.removed:
        if _block(package) in listed:
            raise _failed(url, f"it still lists {package.key.name_version}")


def _blank_lines(text: bytes) -> int:
    """How many records there are.  In strides, because nobody else runs while bytes are searched."""
    return sum(text.count(b"\n\n", start, start + _STRIDE + 1) for start in range(0, len(text), _STRIDE))


_STRIDE = 4 * MIB
_FEW = 50
"""Records that are looked for in the text; of more, all records are taken apart."""


def _block(package: Package) -> bytes:
    return f"\n{format_record(record_of(package))}\n".encode()


def _check_package(url: str, package: Package, equipment: Equipment) -> None:
    state, size = hashlib.sha256(), 0

    def take(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)
        state.update(chunk)

    equipment.public.fetch(url, take, limit=package.size)
    if size != package.size or state.hexdigest() != package.digest:
        raise _failed(url, "it is not the file that was verified")


def _fetch(url: str, digest: str, equipment: Equipment, size: int = 0) -> bytes:
    received = bytearray()
    equipment.public.fetch(url, received.extend, limit=size or equipment.limits.document)
    if hashlib.sha256(received).hexdigest() != digest:
        raise _failed(url, "it is not the file that was written")
    return bytes(received)


def _failed(url: str, why: str) -> VerificationError:
    return VerificationError(f"read back: {why}", reason="read-back-failed", origin=Origin(source=url))
