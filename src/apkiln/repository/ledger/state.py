"""The state of a repository: what a fold over the rows of its ledger comes to (spec repository.md §3.4, §3.5, I12).

`folding.apply` is the only thing that changes it; `changes` says what a transaction would do to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import SIGNING, Finding, Indexed, Manifest, Selection
from apkiln.repository.ledger.packages import Key, Package
from apkiln.repository.ledger.rows import Head


class Status(Enum):
    """Of an accepted package (spec §3.5; `retained` is LIVE outside of the current index, or ASIDE)."""

    LIVE = "live"
    ASIDE = "aside"
    """A rollback took it out of the index; publishing the same bytes again brings it back."""
    WITHDRAWN = "withdrawn"
    COLLECTED = "collected"


class Step(Enum):
    """Of a transaction (spec §3.4)."""

    OPEN = "open"
    UPLOADED = "uploaded"
    VERIFIED = "verified"
    INDEXED = "indexed"
    LIVE = "live"
    REJECTED = "rejected"
    ABORTED = "aborted"


ENDED = frozenset({Step.LIVE, Step.REJECTED, Step.ABORTED})


class Accepted(NamedTuple):
    """A package that was accepted, and what became of it."""

    package: Package
    status: Status
    transaction: int
    """The last one that changed its status."""
    changed: int
    """Unix milliseconds of that."""
    listed: tuple[tuple[int, int], ...] = ()
    """Generations [first, end) whose index has it, ascending; an end of 0 is the current one."""
    reason: str = ""
    """Of the last change of status."""

    def is_listed_in(self, generation: int) -> bool:
        return any(first <= generation and (not end or generation < end) for first, end in self.listed)


class Transaction(NamedTuple):
    """A unit of change."""

    number: int
    manifest: Manifest
    step: Step
    actor: str
    reason: str
    opened: int
    """Unix milliseconds."""
    changed: int
    """When it got to its step."""
    idempotency_key: str = ""
    teams: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    findings: tuple[Finding, ...] = ()
    generation: int = 0
    approvers: tuple[str, ...] = ()
    held: tuple[Finding, ...] = ()
    """Quarantine: why a second person must agree."""


class Generation(NamedTuple):
    """An immutable numbered result."""

    number: int
    indexed: Indexed
    live_at: int
    """Unix milliseconds."""
    ledger: str
    """Hash of the ledger row that made it live."""
    document: str
    """Hex SHA-256 of its newest `generation.json`."""
    signature: str
    expires: int


class TrustedKey(NamedTuple):
    """A key of the repository."""

    name: str
    pem: str
    state: actions.KeyState
    changed: int


class RepositoryState:
    """Where one repository stands.  Attributes are for reading; `folding.apply` changes them."""

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self.head = Head()
        self.arches: tuple[str, ...] = ()
        self.keep = 3
        self.accepted: dict[Key, Accepted] = {}
        self.builds: dict[tuple[str, str], tuple[Key, ...]] = {}
        """(origin, version) → its accepted packages."""
        self.names: dict[tuple[str, str], tuple[Key, ...]] = {}
        """(arch, name) → its live packages, oldest version first."""
        self.homes: set[str] = set()
        """Architectures that ever had a live package."""
        self.transactions: dict[int, Transaction] = {}
        self.unfinished: dict[int, None] = {}
        """Transactions that have not ended, oldest first."""
        self.idempotency: dict[str, int] = {}
        self.generations: dict[int, Generation] = {}
        self.current = 0
        """Number of the current generation; 0 = none yet."""
        self.candidate: Indexed | None = None
        """Written and not yet live; always on the current generation."""
        self.incoming: dict[tuple[str, str], str] = {}
        """(arch, file name) → hex digest of what is accepted, or back, when the candidate goes live."""
        self.keys: dict[str, TrustedKey] = {}
        self.views: dict[str, int] = {}
        self.holds: dict[str | int, int] = {}
        """Blob or generation → Unix seconds."""
        self.owners: dict[str, str] = {}
        self.pending: dict[tuple[str, str, str], int] = {}
        """(origin, version, arch) → transaction that went live without it."""
        self.marked: dict[str, int] = {}
        """Blob → Unix milliseconds of the mark."""
        self.removed: set[str] = set()

    def listed(self, arch: str, name: str) -> tuple[Key, ...]:
        """What the current index of `arch` (or the `noarch` part of all) lists under a name, oldest first."""
        return self.names.get((arch, name), ())[-self.keep :]

    def listing(self) -> Iterator[Package]:
        """Every package of the current indexes, in no particular order."""
        for arch, name in self.names:
            for key in self.listed(arch, name):
                yield self.accepted[key].package

    def listing_of(self, generation: int) -> Iterator[Package]:
        """Every package that the indexes of a generation list.  Looks at every accepted package."""
        for accepted in self.accepted.values():
            if accepted.is_listed_in(generation):
                yield accepted.package

    def signing_keys(self) -> tuple[str, ...]:
        """File names of the keys that a new index is signed with, sorted."""
        return tuple(sorted(key.name for key in self.keys.values() if key.state in SIGNING))

    def resolve(self, selection: Selection) -> tuple[Key, ...]:
        """The accepted packages that a selection means, whatever their status."""
        keys = self.builds.get((selection.origin, selection.version), ())
        return tuple(
            key for key in keys if selection.name in ("", key.name) and (not selection.arch or key.arch == selection.arch)
        )
