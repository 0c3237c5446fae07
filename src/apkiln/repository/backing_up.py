"""Backups: a ledger and every blob it needs, copied so that the copy is whole at every moment (spec repository.md I14).

Files come first and rows last, so rows never name what is not there.  A copy goes on where the last one ended.  Restoring
is the same in the other direction, into places that have nothing, or a beginning of the same ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError, VerificationError
from apkiln.core.origin import Origin
from apkiln.repository.collecting import needed_blobs
from apkiln.repository.equipment import Policy
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.changes import changes_of
from apkiln.repository.ledger.folding import apply
from apkiln.repository.ledger.rows import Row, decode, verified
from apkiln.repository.ledger.state import RepositoryState, Step
from apkiln.system.blob_store import BlobStore
from apkiln.system.ledger_store import Claim, LedgerStore, StoredRow

_ROWS = 500


class Keeping(NamedTuple):
    """One side: where rows and blobs are."""

    ledgers: LedgerStore
    blobs: BlobStore


class Copied(NamedTuple):
    """What a copy came to."""

    repository: str
    rows: int
    """Appended now."""
    blobs: int
    """Copied now."""
    size: int
    """Bytes of them."""
    head: int
    """Number of the last row."""
    generation: int


class _Row(NamedTuple):
    stored: StoredRow
    claims: tuple[Claim, ...]


def copy_repository(name: str, source: Keeping, target: Keeping, policy: Policy, now: int) -> Copied:
    """Bring `target` to where `source` is.  `now`: Unix milliseconds.

    VerificationError `ledger-broken`, `ledger-impossible` of the source, `backup-incomplete` (all blobs that are missing or
    damaged; what is good was copied, and no row); ConflictError `backup-diverged` when the target has another ledger.
    """
    state = RepositoryState(name)
    rows = [_taken(stored, state) for stored in source.ledgers.rows(name)]
    begun = _common(name, rows, target.ledgers)
    count, size = _copy_blobs(state, source.blobs, target.blobs, policy, now)
    for start in range(begun, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        claims = [claim for row in part for claim in row.claims]
        if not target.ledgers.append(name, [row.stored for row in part], claims):
            raise _diverged(name, part[0].stored.number)
    return Copied(name, len(rows) - begun, count, size, state.head.number, state.current)


def _taken(stored: StoredRow, state: RepositoryState) -> _Row:
    """A row of the source, checked and applied; what it bound for ever."""
    row = decode(stored.text)
    verified((row,), state.repository, state.head)
    claims = tuple(_claims(row, state))
    apply(state, row)
    return _Row(stored, claims)


def _claims(row: Row, state: RepositoryState) -> Iterator[Claim]:
    if isinstance(row.body, actions.Live) and state.candidate is not None:
        batch = [state.transactions[number] for number in state.candidate.transactions]
        for package in changes_of(state, batch).publish:
            yield Claim("version", f"{package.arch}/{package.key.name_version}", package.content)
        yield Claim("generation", str(row.body.generation), row.body.document)


def _common(name: str, rows: Sequence[_Row], target: LedgerStore) -> int:
    """How many rows the target has already."""
    count = 0
    for known in target.rows(name):
        if count >= len(rows) or rows[count].stored.hash != known.hash:
            raise _diverged(name, known.number)
        count += 1
    return count


def _diverged(name: str, number: int) -> ConflictError:
    return ConflictError(
        f"row {number} of `{name}` is another one there",
        reason="backup-diverged",
        origin=Origin(source=name, line=number),
        hint="it is the backup of another repository, or of one that was restored; use an empty place",
    )


def _copy_blobs(state: RepositoryState, source: BlobStore, target: BlobStore, policy: Policy, now: int) -> tuple[int, int]:
    open_ones = [state.transactions[number] for number in state.unfinished]
    awaited = {file.sha256 for item in open_ones if item.step is Step.OPEN for file in item.manifest.files}
    count = size = 0
    bad: list[str] = []
    for blob in sorted(needed_blobs(state, now, policy)):
        digest = Digest.sha256(bytes.fromhex(blob))
        if target.size(digest) is not None:
            continue
        chunks = source.read(digest)
        if chunks is None:
            bad += [] if blob in awaited else [blob]
            continue
        try:
            size += target.put(digest, chunks)
            count += 1
        except VerificationError:
            bad.append(blob)
    if bad:
        raise VerificationError(
            f"{len(bad)} blobs of `{state.repository}` are missing or damaged",
            reason="backup-incomplete",
            origin=Origin(source=state.repository),
            details=bad,
            hint="`apkiln repo check --deep` names what needs them",
        )
    return count, size
