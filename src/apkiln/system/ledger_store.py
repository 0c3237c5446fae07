"""Where ledgers are kept: rows in order, appended by compare-and-swap, and names bound once for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from apkiln.core.errors import ConflictError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin


class StoredRow(NamedTuple):
    """One row as text; what stands beside it is for people who look into the database."""

    number: int
    at: int
    """Unix milliseconds."""
    actor: str
    kind: str
    previous: str
    hash: str
    text: bytes
    """Canonical JSON of the whole row."""


class Claim(NamedTuple):
    """A name that is bound to one value for ever, checked by the database itself."""

    kind: str
    """`version` or `generation`."""
    name: str
    value: str


class LedgerStore(Protocol):
    """Ledgers of several repositories.  UnavailableError `database-unavailable`, `database-busy` (retriable)."""

    def repositories(self) -> tuple[str, ...]:
        """Names of all ledgers, sorted."""

    def rows(self, repository: str, after: int = 0) -> Iterator[StoredRow]:
        """Rows with higher numbers, ascending."""

    def append(self, repository: str, rows: Sequence[StoredRow], claims: Sequence[Claim] = ()) -> bool:
        """Add rows and claims, all or nothing, durably.  False, and nothing is changed, when the number of a row is taken.

        ConflictError `claim-taken` when a name is bound to another value.
        """


class MemoryLedgers:
    """See `LedgerStore`."""

    def __init__(self) -> None:
        self.tables: dict[str, list[StoredRow]] = {}
        self.claims: dict[tuple[str, str, str], str] = {}
        self._lock = threading.Lock()

    def repositories(self) -> tuple[str, ...]:
        return tuple(sorted(self.tables))

    def rows(self, repository: str, after: int = 0) -> Iterator[StoredRow]:
        yield from self.tables.get(repository, [])[after:]

    def append(self, repository: str, rows: Sequence[StoredRow], claims: Sequence[Claim] = ()) -> bool:
        with self._lock:
            table = self.tables.get(repository, [])
            if [row.number for row in rows] != list(range(len(table) + 1, len(table) + 1 + len(rows))):
                return False
            for claim in claims:
                if self.claims.get((repository, *claim[:2]), claim.value) != claim.value:
                    raise taken(repository, claim)
            self.claims.update(((repository, *claim[:2]), claim.value) for claim in claims)
            self.tables.setdefault(repository, []).extend(rows)
        return True


def taken(repository: str, claim: Claim) -> ConflictError:
    """A name that has another value."""
    return ConflictError(
        f"the {claim.kind} `{claim.name}` is bound to another value", reason="claim-taken", origin=Origin(source=repository)
    )
