"""The installed database as claims on paths (spec apk.md §4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apkiln.formats.apk.installed import InstalledPackage, InstalledPath, parse_installed
from apkiln.image.audit.claims import Claim
from apkiln.image.mixing import Linked, mixed_libc


@dataclass(frozen=True, slots=True)
class InstalledDatabase:
    """What the installed database says."""

    packages: tuple[tuple[str, str], ...]
    """Name and version, in order."""
    claims: tuple[Claim, ...]
    mixed: tuple[str, str] | None = None
    """Packages of two C libraries (`mixed_libc`)."""


def read_database(content: bytes) -> InstalledDatabase:
    """Raises the FormatErrors of `parse_installed`: what is not understood whole proves nothing."""
    installed = parse_installed(content)
    packages = tuple((package.record.name, package.record.version) for package in installed)
    records = [package.record for package in installed]
    mixed = mixed_libc(Linked(record.name, record.depends, record.provides) for record in records)
    return InstalledDatabase(packages, tuple(claim for package in installed for claim in _claims(package)), mixed)


def _claims(package: InstalledPackage) -> Iterator[Claim]:
    for directory in package.directories:
        yield _claim(package, directory, is_directory=True)
    for file in package.files:
        yield _claim(package, file, is_directory=False)


def _claim(package: InstalledPackage, path: InstalledPath, *, is_directory: bool) -> Claim:
    record = package.record
    return Claim(
        path=path.path,
        package=record.name_version,
        name=record.name,
        origin=record.origin,
        priority=record.replaces_priority,
        is_directory=is_directory,
        mode=path.mode,
        uid=path.uid,
        gid=path.gid,
        xattrs=path.xattrs,
        digest=path.digest,
        truncated_sha256="S" in record.flags,
    )
