"""From the bytes of an index to records that may be used: signature, parse, table; each done once per index and keyring.

Table in the store: `index-verdicts` (digest of the index, keys, trust, versions of checks and layout → who signed, digest
of the record table, warnings).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from apkiln.acquire.access import Access
from apkiln.acquire.index_tables import CHECKS, keep_table, kept_table, table_of_text
from apkiln.acquire.repositories import Trust
from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import EnvironmentFault, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.apk.index_table import VERSION, IndexTable
from apkiln.formats.apk.keys import Keyring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VERDICTS = "index-verdicts"


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
    table = keep_table(access.store, verdict.table)
    if table is not None:
        value = [verdict.signed_by, verdict.weak, str(table), [list(warning) for warning in verdict.warnings]]
        with suppress(EnvironmentFault):
            access.store.put(_VERDICTS, row, canonical_json.encode(value))
    return verdict


def _remembered(value: Any, access: Access) -> Verdict | None:
    """The verdict of an earlier run, None when the store lost or damaged its table."""
    signed_by, weak, digest, warnings = value
    table = kept_table(access.store, Digest.parse(digest))
    return None if table is None else Verdict(signed_by, weak, table, tuple([IndexRemark(*warning) for warning in warnings]))


def _judged(data: bytes, keyring: Keyring, trust: Trust, access: Access) -> Verdict:
    """Everything anew."""
    from apkiln.formats.apk.index import read_index
    from apkiln.formats.apk.index_text import scan_index_text

    index = read_index(data, access.limits)
    signature = _check_signature(index.signatures, index.signed_bytes, keyring, trust)
    outline = scan_index_text(index.text, access.limits)
    table = table_of_text(index.text, outline.usable())
    warnings = tuple([IndexRemark(item.reason, item.package, item.letter, item.item, item.message) for item in outline.warnings])
    return Verdict(signature.key_name, signature.weak, table, warnings)


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
