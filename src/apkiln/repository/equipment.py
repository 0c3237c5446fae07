"""What a repository service is given: its wishes and its tools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from apkiln.core.errors import UnavailableError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.formats.apk.signing import SectionSigner
from apkiln.repository.examining import Examiner
from apkiln.repository.gate import World
from apkiln.system.blob_store import BlobStore
from apkiln.system.clock import Clock
from apkiln.system.ledger_store import LedgerStore
from apkiln.system.transfer import Transfer

SERVICE = "service"
"""Who writes the rows that follow from others."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a repository wants; nothing here changes bytes that are published."""

    sign_packages: bool = True
    """Packages carry the repository's signature, made before they are indexed."""
    two_persons: bool = True
    """Withdrawing several builds, restoring, keys and overrides need a second person."""
    lifetime: int = 7 * 86_400
    """Seconds until a generation document expires."""
    idle: int = 3_600_000
    """Milliseconds after which an open transaction is given up."""
    worlds: tuple[World, ...] = ()
    """Must stay installable: images, for example."""
    full_days: int = 90
    daily_days: int = 730
    """See `generations.retained_generations`."""
    removal_grace: int = 7 * 86_400_000
    """Milliseconds between the mark and the removal of a blob."""
    largest_sweep: int = 5
    """Percent of all blobs that one sweep may take without being told to."""


class SignerSource(Protocol):
    """Where signers come from; asked anew for each generation, as keys come and go."""

    def signer(self, name: str) -> SectionSigner:
        """The signer for a public key file name.  UnavailableError `signer-unavailable`."""


class NamedSigners:
    """Signers at hand."""

    def __init__(self, signers: Iterable[SectionSigner]) -> None:
        self._signers = {signer.name: signer for signer in signers}

    def signer(self, name: str) -> SectionSigner:
        if name not in self._signers:
            raise UnavailableError(
                f"no signer has the key `{name}`", reason="signer-unavailable", origin=Origin(source=name), retriable=True
            )
        return self._signers[name]


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the service needs of the outside."""

    ledgers: LedgerStore
    blobs: BlobStore
    signers: SignerSource
    public: Transfer
    """As a client would fetch, past every cache."""
    public_url: str
    """What comes before the name of the repository, without trailing slash."""
    clock: Clock
    examiners: tuple[Examiner, ...] = ()
    """Policies that every transaction with files must please."""
    limits: Limits = DEFAULT_LIMITS
    jobs: int = 2
