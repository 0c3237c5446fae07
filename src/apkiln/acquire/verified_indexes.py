"""From the bytes of an index to records that may be used: signature, parse, table; each done once per index and keyring.

Table in the store: `index-verdicts` (digest of the index, keys, trust, versions of checks and layout → who signed, digest
of the record table, warnings).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from apkiln.acquire.access import Access
from apkiln.acquire.repositories import Trust
from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.index_names import mentioned_postings, provided_postings
from apkiln.formats.apk.index_table import VERSION, IndexTable, write_table
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.records import IndexRecord
from apkiln.system.store import put_bytes

if TYPE_CHECKING:
    from apkiln.formats.apk.index_text import IndexOutline

_VERDICTS = "index-verdicts"
CHECKS = "1"
"""Changes when a verdict begins to mean more, or other records are taken as unusable."""


class Judge(NamedTuple):
    """Whose signatures count."""

    keyring: Keyring
    fingerprint: str
    """`acquire.keyring.fingerprint` of it."""


class IndexRemark(NamedTuple):
    """Something in an index that its reader lives with: `formats.apk.index_text.IndexWarning` as it is kept."""

    reason: str
    package: str
    """`name-version` of the record."""
    letter: str
    item: str
    message: str


class Verdict(NamedTuple):
    """A verified index."""

    signed_by: str
    """File name of the key whose signature is good; empty = nobody's."""
    weak: bool
    """The signature rests on SHA-1."""
    table: IndexTable
    """The records that may be chosen."""
    warnings: tuple[IndexRemark, ...]


class _Signature(NamedTuple):
    key_name: str = ""
    weak: bool = False


def verified_index(data: bytes, digest: Digest, judge: Judge, trust: Trust, access: Access) -> Verdict:
    """The records of an index whose bytes hash to `digest`; nothing is parsed before the signature is good.

    The kept table is derived: one that is lost or damaged is made anew, and one that cannot be kept (a full disk) is used
    all the same.  Builders at the same time write equal bytes under one name.  Raises VerificationError (those of
    `signature.signer_of`) and FormatError (of the index formats).
    """
    parts = (digest.hex, judge.fingerprint, CHECKS, VERSION, f"{int(trust.allow_unsigned)}{int(trust.allow_sha1)}")
    row = ".".join(parts)
    stored = access.store.get(_VERDICTS, row)
    if stored is not None:
        known = _remembered(json.loads(stored), access)
        if known is not None:
            return known
    verdict = _judged(data, judge.keyring, trust, access)
    with suppress(EnvironmentFault):  # a cache that takes nothing costs time, not the answer
        table = put_bytes(access.store, verdict.table.data)
        value = [verdict.signed_by, verdict.weak, str(table), [list(warning) for warning in verdict.warnings]]
        access.store.put(_VERDICTS, row, canonical_json.encode(value))
    return verdict


def _remembered(value: Any, access: Access) -> Verdict | None:
    """The verdict of an earlier run, None when the store lost or damaged its table."""
    signed_by, weak, text, warnings = value
    digest = Digest.parse(text)
    stream = access.store.open(digest)
    if stream is None:
        return None
    with stream:
        data = stream.read()
    if hashlib.sha256(data).digest() != digest.value:
        access.store.discard(digest)
        return None
    return Verdict(signed_by, weak, IndexTable(data), tuple([IndexRemark(*warning) for warning in warnings]))


def _judged(data: bytes, keyring: Keyring, trust: Trust, access: Access) -> Verdict:
    """Everything anew."""
    from apkiln.formats.apk.index import read_index
    from apkiln.formats.apk.index_text import scan_index_text

    index = read_index(data, access.limits)
    signature = _check_signature(index.signatures, index.signed_bytes, keyring, trust)
    outline = scan_index_text(index.text, access.limits)
    table = _table(index.text, outline.usable())
    warnings = tuple([IndexRemark(item.reason, item.package, item.letter, item.item, item.message) for item in outline.warnings])
    return Verdict(signature.key_name, signature.weak, table, warnings)


def table_of(records: Sequence[IndexRecord]) -> IndexTable:
    """The table of records that are in memory, of which it keeps the fields that an index has."""
    from apkiln.formats.apk.index_text import IndexOutline, format_record

    blocks = [f"{format_record(record)}\n".encode("utf-8", "surrogateescape") for record in records]
    begins = list(accumulate(map(len, blocks), initial=0))[:-1]
    fields = [(record.name, record.provides, record.install_if) for record in records]
    names, provides, install_if = (
        [row[column].encode("utf-8", "surrogateescape") for row in fields] for column in range(3)
    )  # fmt: skip
    return _table(b"".join(blocks), IndexOutline(begins, names, provides, install_if, ()))


def _table(text: bytes, outline: IndexOutline) -> IndexTable:
    provided = provided_postings(outline.names, outline.provides)
    return IndexTable(write_table(text, outline.begins, provided, mentioned_postings(outline.install_if)))


def _check_signature(signatures: Sequence[tuple[str, str, bytes]], signed: bytes, keyring: Keyring, trust: Trust) -> _Signature:
    """Who signed; nobody only where the trust allows it."""
    from apkiln.formats.apk.signature import signer_of

    try:
        found = signer_of(signatures, signed, keyring, allow_sha1=trust.allow_sha1)
        return _Signature(found.key_name, found.weak)
    except VerificationError as fault:
        if trust.allow_unsigned:
            return _Signature()
        if fault.reason == "signature-missing":
            hint = "sign it with `apkiln repo index`, or allow this repository to be unsigned"
            raise VerificationError("the index is not signed", reason="signature-missing", hint=hint) from fault
        raise
