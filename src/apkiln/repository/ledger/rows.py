"""Ledger rows: who did what when and why, chained by hashes so that no row can be changed or left out unseen (I13)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.repository.ledger.actions import AnyAction

BEGINNING = "0" * 64
"""What the first row names as its predecessor."""


class Author(NamedTuple):
    """Who acts, and why."""

    actor: str
    reason: str = ""
    provenance: str = ""
    """Where the wish came from, for example the digest of a token or of an attestation."""


class Row(msgspec.Struct, frozen=True):
    """One row; its canonical JSON is what the database keeps."""

    repository: str
    number: int
    """From 1, without gaps."""
    at: int
    """Unix milliseconds; never before the row ahead."""
    actor: str
    reason: str
    provenance: str
    previous: str
    """`hash` of the row ahead."""
    body: AnyAction
    hash: str = ""
    """Hex SHA-256 of the predecessor's hash and the canonical JSON of this row without this field."""


class Head(NamedTuple):
    """The end of a chain."""

    number: int = 0
    hash: str = BEGINNING
    at: int = 0


def chained(repository: str, head: Head, at: int, author: Author, actions: Sequence[AnyAction]) -> tuple[Row, ...]:
    """The rows that follow `head`; pure.  A clock that went back does not take the ledger back."""
    rows: list[Row] = []
    for action in actions:
        time = max(at, head.at)
        row = Row(repository, head.number + 1, time, *author, head.hash, action)
        row = msgspec.structs.replace(row, hash=_hash(row))
        rows.append(row)
        head = Head(row.number, row.hash, row.at)
    return tuple(rows)


def verified(rows: Iterable[Row], repository: str, head: Head | None = None) -> Head:
    """Check a chain that follows `head`; its end.

    VerificationError `ledger-broken` with the number of the first row that does not fit.
    """
    head = head or Head()
    for row in rows:
        fits = row.repository == repository and row.number == head.number + 1 and row.previous == head.hash
        if not fits or row.at < head.at or row.hash != _hash(row):
            raise VerificationError(
                f"row {row.number} of the ledger is not what was written",
                reason="ledger-broken",
                origin=Origin(source=repository, line=row.number),
                hint="restore the database from a backup; nothing is published from a broken ledger",
            )
        head = Head(row.number, row.hash, row.at)
    return head


def encode(row: Row) -> bytes:
    """Canonical JSON: sorted keys, UTF-8, no spaces, integers only."""
    return msgspec.json.encode(row, order="sorted")


def decode(text: bytes) -> Row:
    """A row from its JSON; VerificationError `ledger-broken`."""
    try:
        row: Row = _decoder().decode(text)
    except msgspec.MsgspecError as error:
        raise VerificationError(f"a row of the ledger cannot be read: {error}", reason="ledger-broken") from error
    return row


@cache
def _decoder() -> Any:
    return msgspec.json.Decoder(Row)


def _hash(row: Row) -> str:
    bare = msgspec.structs.replace(row, hash="")
    return hashlib.sha256(row.previous.encode() + encode(bare)).hexdigest()
