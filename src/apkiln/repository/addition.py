"""What adding packages to a repository changes, as a value (pure; `repository.publishing` does it)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import ConflictError, FaultCollector, FormatError, UsageError
from apkiln.core.origin import Origin
from apkiln.formats.apk.contents import PackageContents
from apkiln.formats.apk.index import record_of
from apkiln.formats.apk.records import IndexRecord
from apkiln.repository.closure import Unresolved, unresolved_dependencies
from apkiln.repository.layout import NOARCH, package_file

Listing = Mapping[str, Sequence[IndexRecord]]
"""Architecture → records of its index."""
_Records = dict[tuple[str, str], IndexRecord]
"""By name and version."""
_Conflicts = dict[str, ConflictError]
"""One for each `name-version`."""


class CheckedPackage(NamedTuple):
    """A package file after the complete strict read."""

    path: PurePath
    contents: PackageContents

    @property
    def digest(self) -> Digest:
        return Digest.sha256(self.contents.sha256)


class Copy(NamedTuple):
    """One file that must lie in the repository before an index lists it."""

    package: CheckedPackage
    arch: str
    """Directory of the repository."""

    @property
    def name(self) -> str:
        return package_file(self.package.contents.info)


class Addition(NamedTuple):
    """All changes of one `add`."""

    copies: tuple[Copy, ...]
    """Also those of packages that are listed already: a missing file is put back, a present one compared."""
    indexes: tuple[tuple[str, tuple[IndexRecord, ...]], ...]
    """(architecture, all its records) of the indexes that change, sorted by architecture."""
    added: tuple[str, ...]
    """`name-version` (and architecture) of what is new, sorted."""
    unchanged: tuple[str, ...]
    """What was there before with the same bytes."""
    unresolved: tuple[Unresolved, ...]
    """Dependencies of new packages that nothing in the repository satisfies."""


def plan_addition(
    current: Listing,
    packages: Sequence[CheckedPackage],
    spread: Sequence[CheckedPackage] = (),
    named: Sequence[str] = (),
) -> Addition:
    """Decide what changes when `packages` join what is listed.

    `spread`: the repository's `noarch` packages, which a new architecture gets as well.  `named`: architectures that get
    an index whatever the packages are.  Raises, all faults together:
    ConflictError `version-exists` (another package of that name, version and architecture is listed, or two of the
    arguments differ), FormatError `size-zero` (§19: apk would extract nothing), UsageError `no-architecture` (only
    `noarch` packages and no architecture yet).
    """
    faults = FaultCollector.empty()
    for package in packages:
        _refuse_unusable(package, faults)
    architectures = sorted({*current, *named} | {package.contents.info.arch for package in packages} - {NOARCH})
    if not architectures and packages:
        faults.add(_no_architecture(packages[0]))
    new_architectures = [arch for arch in architectures if arch not in current]
    placed = [(arch, package) for package in packages for arch in _homes(package, architectures)]
    placed += [(arch, package) for package in spread for arch in new_architectures]
    listing = {arch: {record[:2]: record for record in current.get(arch, ())} for arch in architectures}
    conflicts: _Conflicts = {}
    added = [(arch, record) for arch, package in placed if (record := _join(listing[arch], arch, package, conflicts)) is not None]
    copies = _copies(placed, conflicts)
    for conflict in conflicts.values():
        faults.add(conflict)
    faults.raise_if_any()
    changed = sorted({arch for arch, _ in added} | set(new_architectures))
    return Addition(
        copies=copies,
        indexes=tuple((arch, tuple(listing[arch].values())) for arch in changed),
        added=_names(added),
        unchanged=tuple(sorted({package.contents.info.name_version for package in packages} - _bare_names(added))),
        unresolved=tuple(
            item
            for arch in changed
            for item in unresolved_dependencies(arch, [record for home, record in added if home == arch], listing[arch].values())
        ),
    )


def listed_record(package: CheckedPackage, arch: str) -> IndexRecord:
    """The record of a package in the index of `arch`; see `repository.layout` for `noarch`."""
    return record_of(package.contents)._replace(arch=arch)


def _homes(package: CheckedPackage, architectures: Sequence[str]) -> Sequence[str]:
    own = package.contents.info.arch
    return architectures if own == NOARCH else (own,)


def _join(records: _Records, arch: str, package: CheckedPackage, conflicts: _Conflicts) -> IndexRecord | None:
    """Add the package's record; None when it is there already or must be refused."""
    record = listed_record(package, arch)
    listed = records.setdefault(record[:2], record)
    if listed is record:
        return record
    if (listed.identity, listed.size) != (record.identity, record.size):
        _conflict(package, arch, conflicts)
    return None


def _conflict(package: CheckedPackage, arch: str, conflicts: _Conflicts) -> None:
    name = package.contents.info.name_version
    conflicts.setdefault(
        name,
        ConflictError(
            f"`{name}` for {arch} is published with other content",
            reason="version-exists",
            origin=Origin(source=str(package.path), package=name),
            hint="raise its release number: a published version keeps its bytes for ever",
        ),
    )


def _refuse_unusable(package: CheckedPackage, faults: FaultCollector) -> None:
    for report in package.contents.reports:
        if report.reason == "size-zero":
            place = Origin(source=str(package.path), member="control/.PKGINFO", package=package.contents.info.name_version)
            faults.add(FormatError(report.message, reason=report.reason, origin=place))


def _no_architecture(package: CheckedPackage) -> UsageError:
    return UsageError(
        "a `noarch` package needs an architecture to be listed for, and the repository has none yet",
        reason="no-architecture",
        origin=Origin(source=str(package.path)),
        hint="name one with `--arch`",
    )


def _copies(placed: Iterable[tuple[str, CheckedPackage]], conflicts: _Conflicts) -> tuple[Copy, ...]:
    places: dict[tuple[str, str], Copy] = {}
    for arch, package in placed:
        for home in (NOARCH, arch) if package.contents.info.arch == NOARCH else (arch,):
            copy = Copy(package, home)
            other = places.setdefault((home, copy.name), copy)
            if other.package.digest != package.digest:
                _conflict(package, home, conflicts)
    return tuple(places[key] for key in sorted(places))


def _names(added: Iterable[tuple[str, IndexRecord]]) -> tuple[str, ...]:
    return tuple(sorted(f"{record.name_version} ({arch})" for arch, record in added))


def _bare_names(added: Iterable[tuple[str, IndexRecord]]) -> set[str]:
    return {record.name_version for _, record in added}
