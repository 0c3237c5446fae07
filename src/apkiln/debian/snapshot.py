"""A suite at one instant: verified package lists as one universe of candidates (spec debian.md §2, §11)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.origin import Origin
from apkiln.debian.binaries import BinaryPackage, PackageList
from apkiln.formats.deb.relations import Relation
from apkiln.formats.deb.release import IndexFile, Release
from apkiln.formats.deb.version import sort_key

_PRIORITIES = ("required", "important", "standard", "optional", "extra")


@dataclass(frozen=True, slots=True)
class SuiteList:
    """One verified `Packages` list and the release that vouches for it."""

    suite: str
    """As the source names it, for example `bookworm-security`."""
    component: str
    release_sha256: str
    """Of the whole InRelease file, 64 hex digits."""
    release_date: int
    signed_by: tuple[str, ...]
    """Fingerprints of the keys that signed the release."""
    list_sha256: str
    text: bytes
    """The uncompressed list."""
    source: str
    """For messages: URI without credentials, and suite."""
    release: int = 0
    """Number of its release in the archive, for downloads."""


def wanted_index(release: Release, component: str, architecture: str, origin: Origin) -> IndexFile:
    """The list of one component and architecture, or `source`, in a release.  UnavailableError (`missing-package-list`)."""
    path = f"{component}/source/Sources" if architecture == "source" else f"{component}/binary-{architecture}/Packages"
    found = release.file(path)
    if found is None:
        raise UnavailableError(f"the release does not list `{path}`", reason="missing-package-list", origin=origin)
    return found


def check_index(expected: IndexFile, text: bytes, origin: Origin) -> None:
    """Compare a list with what the release says of it (§11).  Raises VerificationError (`chain-hash`)."""
    if len(text) != expected.size or hashlib.sha256(text).hexdigest() != expected.sha256:
        raise VerificationError(
            f"`{expected.path}` is not the file its signed release names", reason="chain-hash", origin=origin, retriable=True
        )


def check_validity(release: Release, now: int, origin: Origin) -> None:
    """Refuse a release past its `Valid-Until`.  Raises VerificationError (`snapshot-expired`)."""
    if release.valid_until and now > release.valid_until:
        raise VerificationError(
            "the release is no longer valid",
            reason="snapshot-expired",
            origin=origin,
            hint='a dated snapshot needs `Acquire::Check-Valid-Until "false"` in apt\'s configuration',
        )


class Snapshot:
    """Look-ups over all lists of one architecture.  Later lists are equal to earlier ones: the highest version wins."""

    def __init__(self, lists: Sequence[SuiteList], architecture: str) -> None:
        self.lists = tuple(lists)
        self.architecture = architecture
        """Debian name."""
        self._indexes = tuple(PackageList(item.text, architecture, number, item.source) for number, item in enumerate(self.lists))
        self.candidate = cache(self._candidate)
        self.providers = cache(self._providers)

    def _candidate(self, name: str) -> BinaryPackage | None:
        """The highest version of a real package, None when there is none; of equal versions the first list's."""
        found = list(self.versions(name))
        return max(found, key=lambda package: sort_key(package.version), default=None)

    def _providers(self, name: str) -> tuple[BinaryPackage, ...]:
        """Candidates that provide a virtual name, by priority, then name."""
        named = {package.name for index in self._indexes for package in index.providers(name)}
        current = (self.candidate(item) for item in named)
        kept = [item for item in current if item is not None and any(virtual == name for virtual, _ in item.provides)]
        return tuple(sorted(kept, key=_provider_order))

    def versions(self, name: str) -> Iterator[BinaryPackage]:
        """Every version of a name in all lists."""
        for index in self._indexes:
            yield from index.packages(name)

    def essential(self) -> tuple[str, ...]:
        """Names of the packages that every installation has, sorted."""
        named = {name for index in self._indexes for name in index.essential()}
        return tuple(sorted(name for name in named if (package := self.candidate(name)) is not None and package.essential))

    def names(self) -> tuple[str, ...]:
        """Every name of a real package, sorted."""
        return tuple(sorted({name for index in self._indexes for name in index.names()}))

    def knows(self, name: str) -> bool:
        """Whether the name exists, real or virtual."""
        return self.candidate(name) is not None or bool(self.providers(name))

    def satisfying(self, relation: Relation) -> BinaryPackage | None:
        """The package that satisfies one alternative: the real one if it fits, else the first fitting provider."""
        real = self.candidate(relation.name)
        if real is not None and relation.allows(real.version):
            return real
        return next((item for item in self.providers(relation.name) if provides(item, relation)), None)


def provides(package: BinaryPackage, relation: Relation) -> bool:
    """Whether a package satisfies a relation through its Provides; an unversioned provide meets no versioned relation."""
    versions = [version for name, version in package.provides if name == relation.name]
    if not relation.operator:
        return bool(versions)
    return any(version and relation.allows(version) for version in versions)


def _provider_order(package: BinaryPackage) -> tuple[int, str]:
    rank = _PRIORITIES.index(package.priority) if package.priority in _PRIORITIES else len(_PRIORITIES)
    return (rank, package.name)
