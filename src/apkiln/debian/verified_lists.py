"""The lists of an archive, each checked against its signed release before anything else looks at it (spec debian.md §11)."""

from __future__ import annotations

import hashlib

from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.progress import Reporter
from apkiln.debian.snapshot import SuiteList, check_index, check_validity, wanted_index
from apkiln.formats.deb.release import Release, parse_release
from apkiln.system.package_archive import PackageArchive, SignedRelease


def verified_lists(
    archive: PackageArchive, architecture: str, origins: tuple[str, ...], now: int, reporter: Reporter
) -> tuple[SuiteList, ...]:
    """Every list of an architecture (Debian name), in the order of the sources.

    `origins`: accepted values of a release's `Origin`, others are left out with a note; empty = any.  `now`: Unix seconds.
    Raises VerificationError (`chain-signature`, `chain-hash`, `snapshot-expired`), UnavailableError (`no-archive`,
    `archive-unavailable`, `missing-package-list`), FormatError (`release-syntax`).
    """
    lists: list[SuiteList] = []
    for number, signed in enumerate(archive.releases()):
        origin = Origin(source=signed.source)
        release = parse_release(signed.body, origin)
        if origins and release.origin not in origins:
            reporter.note(f"{signed.source} is left out: its origin is `{release.origin}`")
            continue
        if signed.perishable:
            check_validity(release, now, origin)
        lists += [_verified_list(archive, number, signed, release, item, architecture) for item in signed.components]
    if not lists:
        raise UnavailableError("no package archive is left to import from", reason="no-archive")
    return tuple(lists)


def _verified_list(
    archive: PackageArchive, number: int, signed: SignedRelease, release: Release, component: str, architecture: str
) -> SuiteList:
    origin = Origin(source=signed.source)
    expected = wanted_index(release, component, architecture, origin)
    text = archive.package_list(number, component)
    check_index(expected, text, origin)
    return SuiteList(
        suite=signed.suite,
        component=component,
        release_sha256=hashlib.sha256(signed.data).hexdigest(),
        release_date=release.date,
        signed_by=signed.signed_by,
        list_sha256=expected.sha256,
        text=text,
        source=signed.source,
        release=number,
    )
