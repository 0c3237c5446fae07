"""How much one publisher may have open, upload in a day, and bring at once (spec repository.md §9).  Pure."""

from __future__ import annotations

import msgspec

from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.repository.ledger.actions import Manifest
from apkiln.repository.ledger.state import RepositoryState, Step

DAY = 86_400_000


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Upper bounds; 0 = none."""

    open_transactions: int = 0
    """Opened and not committed."""
    transactions_per_day: int = 0
    bytes_per_day: int = 0
    """Sizes of all files declared within 24 hours, whether they were uploaded or not."""
    files: int = 0
    """Of one transaction."""


UNLIMITED = Quota()


def check_quota(state: RepositoryState, actor: str, manifest: Manifest, quota: Quota, now: int) -> None:
    """Whether `actor` may open one more transaction.  UnavailableError `quota`.  `now`: Unix milliseconds.

    Cost: the transactions of a day.
    """
    if quota == UNLIMITED:
        return
    if quota.files and len(manifest.files) > quota.files:
        raise _exceeded(f"a transaction of `{actor}` has at most {quota.files} files")
    waiting = sum(
        1
        for number in state.unfinished
        if state.transactions[number].actor == actor and state.transactions[number].step is Step.OPEN
    )
    if quota.open_transactions and waiting >= quota.open_transactions:
        raise _exceeded(f"`{actor}` has {waiting} open transactions already", "commit or abort them")
    count, size = _recent(state, actor, now - DAY)
    if quota.transactions_per_day and count >= quota.transactions_per_day:
        raise _exceeded(f"`{actor}` opened {count} transactions within a day")
    size += sum(file.size for file in manifest.files)
    if quota.bytes_per_day and size > quota.bytes_per_day:
        raise _exceeded(f"`{actor}` would declare {size} bytes within a day, {quota.bytes_per_day} are allowed")


def _recent(state: RepositoryState, actor: str, since: int) -> tuple[int, int]:
    """How many transactions an actor opened since then, and the bytes declared in them."""
    count = size = 0
    for transaction in reversed(state.transactions.values()):
        if transaction.opened < since:
            break
        if transaction.actor == actor:
            count += 1
            size += sum(file.size for file in transaction.manifest.files)
    return count, size


def _exceeded(message: str, hint: str = "try again later") -> ApkilnError:
    return UnavailableError(message, reason="quota", hint=hint)
