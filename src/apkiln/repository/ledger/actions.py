"""Everything that can happen to a repository, one type for each kind of ledger row (spec repository.md §3.4-§3.6, §6-§8)."""

from __future__ import annotations

from typing import Literal

import msgspec

from apkiln.repository.ledger.packages import Package

KeyState = Literal["staged", "active", "retiring", "retired", "revoked"]
"""`active` and `retiring` keys sign, all but `revoked` ones are in the keyring (spec §8)."""
SIGNING: tuple[KeyState, ...] = ("active", "retiring")


class DeclaredPackage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file that a transaction promises."""

    arch: str
    name: str
    version: str
    sha256: str
    """Hex digest of the file as uploaded."""
    size: int


class Build(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recipe at one input: all packages of it on all its architectures belong together (I4)."""

    origin: str
    version: str
    packages: tuple[str, ...]
    """Names of all packages that the recipe makes."""
    arches: tuple[str, ...]


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is withdrawn or restored: a build, or with a name a part of it."""

    origin: str
    version: str
    name: str = ""
    """Empty = every package of the build."""
    arch: str = ""
    """Empty = every architecture."""
    replaced_by: str = ""
    """For people: what to use instead."""

    @property
    def partial(self) -> bool:
        return bool(self.name or self.arch)


class KeyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a key's life."""

    name: str
    """File name of the public key."""
    state: KeyState
    pem: str = ""
    """The public key; needed once, when it is `staged` or first `active`."""


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a transaction is to do, all of it or nothing."""

    files: tuple[DeclaredPackage, ...] = ()
    builds: tuple[Build, ...] = ()
    withdraw: tuple[Selection, ...] = ()
    restore: tuple[Selection, ...] = ()
    keys: tuple[KeyChange, ...] = ()
    rollback: int = 0
    """Number of the generation whose content is to be current again, in a new generation; 0 = none."""
    pending_allowed: bool = False
    """Architectures of a build may be missing; they are recorded until a transaction that `continues` this one has them."""
    continues: int = 0
    """The transaction whose missing architectures this one brings; 0 = none."""
    overrides: tuple[Literal["downgrade", "closure", "breaks"], ...] = ()
    """Checks whose findings are recorded and do not refuse."""
    provenance: tuple[str, ...] = ()
    """Hex digests of attestations."""


class ArchIndex(msgspec.Struct, frozen=True):
    """The index of one architecture in a generation."""

    arch: str
    sha256: str
    size: int
    packages: int


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a check found."""

    code: str
    """Stable word, for example `version-conflict` (spec §10.2, in lower case)."""
    message: str
    package: str = ""
    arch: str = ""
    details: tuple[str, ...] = ()


class Action(msgspec.Struct, frozen=True, tag_field="action", omit_defaults=True):
    """The base of all kinds."""


class Configured(Action, frozen=True, tag="configured"):
    """The repository exists, or its shape changed; the first row of every ledger."""

    arches: tuple[str, ...]
    """Those that have an index whatever is published."""
    keep: int = 3
    """Newest versions of a name that the current index lists (spec §7)."""


class Opened(Action, frozen=True, tag="opened"):
    """A transaction begins; its number is that of this row."""

    manifest: Manifest
    idempotency_key: str = ""
    teams: tuple[str, ...] = ()
    """What the publisher may publish for."""


class Uploaded(Action, frozen=True, tag="uploaded"):
    """Commit was called and every declared file is in the blob store."""

    transaction: int


class Verified(Action, frozen=True, tag="verified"):
    """Every byte was read and checked; the final files are in the blob store."""

    transaction: int
    packages: tuple[Package, ...] = ()
    held: tuple[Finding, ...] = ()
    """Quarantine: why a second person must agree before it is published."""


class Rejected(Action, frozen=True, tag="rejected"):
    """The end of a transaction that a check refused."""

    transaction: int
    findings: tuple[Finding, ...]


class Aborted(Action, frozen=True, tag="aborted"):
    """The end of a transaction that its publisher gave up, or that was open for too long."""

    transaction: int


class Approved(Action, frozen=True, tag="approved"):
    """A second person agrees with a transaction."""

    transaction: int


class Indexed(Action, frozen=True, tag="indexed"):
    """A candidate generation is written and signed; nothing points to it yet."""

    generation: int
    base: int
    transactions: tuple[int, ...]
    arches: tuple[ArchIndex, ...]
    sums: str
    """Hex SHA-256 of the list of file digests."""
    document: str
    """Hex SHA-256 of `generation.json`."""
    signature: str
    """Hex SHA-256 of its detached signature."""
    created: int
    """Unix seconds."""
    expires: int
    keys: tuple[str, ...]
    """File names of the keys that signed."""
    codec: str
    notes: tuple[Finding, ...] = ()
    """Findings that an override let through."""


class Live(Action, frozen=True, tag="live"):
    """The pointer moved to the candidate, which was read back through the public path."""

    generation: int
    document: str


class Dropped(Action, frozen=True, tag="dropped"):
    """The candidate could not be read back; nobody was ever pointed to it."""

    generation: int
    document: str


class Renewed(Action, frozen=True, tag="renewed"):
    """The current generation has a new document with a later expiry, and the same indexes."""

    generation: int
    document: str
    signature: str
    created: int
    expires: int
    keys: tuple[str, ...]


class Named(Action, frozen=True, tag="named"):
    """A generation got a name, for ever."""

    name: str
    generation: int


class Held(Action, frozen=True, tag="held"):
    """Nothing collects this blob or generation until then."""

    until: int
    """Unix seconds; 0 = releases the hold."""
    blob: str = ""
    generation: int = 0


class Owned(Action, frozen=True, tag="owned"):
    """Names that begin with `prefix` belong to one team (an exact name wins over a prefix)."""

    prefix: str
    team: str


class Marked(Action, frozen=True, tag="marked"):
    """Nothing needs these blobs any more; they are removed if that is still so after the grace time."""

    blobs: tuple[str, ...]


class Removed(Action, frozen=True, tag="removed"):
    """These blobs are about to be removed from the store, and never served again."""

    blobs: tuple[str, ...]


class Refused(Action, frozen=True, tag="refused"):
    """Somebody tried what they may not do."""

    verb: str
    code: str


AnyAction = (
    Configured
    | Opened
    | Uploaded
    | Verified
    | Rejected
    | Aborted
    | Approved
    | Indexed
    | Live
    | Dropped
    | Renewed
    | Named
    | Held
    | Owned
    | Marked
    | Removed
    | Refused
)
