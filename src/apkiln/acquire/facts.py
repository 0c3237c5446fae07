"""What a verified package file says of itself: its own record, and where its members lie.  Remembered by the file's digest."""

from __future__ import annotations

import hashlib
import json
from typing import BinaryIO

from apkiln.acquire.access import Access
from apkiln.acquire.packages import AcquiredPackage, open_package
from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError
from apkiln.core.limits import Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.policy import STRICT, PackagePolicy
from apkiln.formats.apk.records import IndexRecord

_TABLE = "package-facts"
_VERSION = "1"
"""Changes when the meaning of a row does."""


class Member(NamedTuple):
    """One gzip member of a package file."""

    offset: int
    length: int
    """0: there is none (the signature of an unsigned package)."""
    digest: bytes
    """SHA-1 of the raw member for signature and control, SHA-256 for data; empty when there is none."""


class PackageFacts(NamedTuple):
    """One package file."""

    record: IndexRecord
    """As an index of ours would list it."""
    sha256: Digest
    """Of the whole file."""
    signature: Member
    control: Member
    data: Member
    """Its digest is the one that the control section states; a package in the store was compared with it."""


def package_facts(package: AcquiredPackage, access: Access) -> PackageFacts:
    """Facts of a package in the store; read from its first members once (the file is then hashed), later from one row.

    Raises VerificationError (`cache-entry-damaged`).
    """
    row = f"{package.digest.hex}.{_VERSION}"
    stored = access.store.get(_TABLE, row)
    if stored is not None:
        return _decoded(json.loads(stored), package.digest)
    with open_package(package, access) as stream:
        facts = read_facts(stream, package.digest, package.size, access.limits)
    access.store.put(_TABLE, row, canonical_json.encode(_encoded(facts)))
    return facts


def read_facts(stream: BinaryIO, digest: Digest, size: int, limits: Limits, policy: PackagePolicy = STRICT) -> PackageFacts:
    """Facts of a package file from its first members; the payload is not looked at, so `data.digest` is only a claim.

    Raises what `read_control` raises, and FormatError (`data-missing`).
    """
    from apkiln.formats.apk.contents import PackageContents
    from apkiln.formats.apk.control import read_control
    from apkiln.formats.apk.index import record_of

    control = read_control(stream, limits, policy)
    signature, member = control.sections
    begin = member.offset + member.length
    if begin >= size:
        raise FormatError("there is no data section", reason="data-missing")
    stream.seek(signature.offset)
    signed = hashlib.sha1(stream.read(signature.length), usedforsecurity=False).digest() if signature.length else b""
    contents = PackageContents(
        control.info, control.identity, digest.value, size, (), control.scripts, control.signatures, (), control.other
    )
    return PackageFacts(
        record_of(contents),
        digest,
        Member(signature.offset, signature.length, signed),
        Member(member.offset, member.length, control.identity),
        Member(begin, size - begin, bytes.fromhex(control.info.data_hash)),
    )


def _encoded(facts: PackageFacts) -> list[object]:
    record = facts.record._replace(identity=b"")
    members = [[item.offset, item.length, item.digest.hex()] for item in (facts.signature, facts.control, facts.data)]
    return [facts.record.identity.hex(), [*record[:3], *record[4:]], members]


def _decoded(row: list[object], digest: Digest) -> PackageFacts:
    identity, fields, members = row
    assert isinstance(identity, str)
    assert isinstance(fields, list)
    assert isinstance(members, list)
    record = IndexRecord._make([*fields[:3], bytes.fromhex(identity), *fields[3:]])
    signature, control, data = (Member(offset, length, bytes.fromhex(value)) for offset, length, value in members)
    return PackageFacts(record, digest, signature, control, data)
