"""Package files published to a repository service: verified here, uploaded, and live or refused there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import PurePath

from apkiln.core.errors import VerificationError
from apkiln.core.origin import Origin
from apkiln.repository.addition import CheckedPackage
from apkiln.repository.publishing import Workshop, read_all
from apkiln.repository.remote import Progress, RemoteRepository, manifest_of
from apkiln.system.parallel import map_in_threads


def publish_files(
    paths: Sequence[PurePath],
    remote: RemoteRepository,
    workshop: Workshop,
    *,
    complete: Sequence[str] = (),
    reason: str = "",
    patience: float = 600.0,
) -> Progress:
    """All files in one transaction; as it stands at the end, which is published only when it is `live`.

    `complete`: as in `remote.manifest_of`; `patience`: seconds to wait for the end.  May be repeated after any error.  Raises
    what reading the packages raises (all faults at once), as `RemoteRepository.ask`, and VerificationError `receipt-incomplete`.
    """
    packages = read_all(paths, workshop)
    manifest = manifest_of(packages, complete)
    opened = remote.open(manifest, reason)
    if opened.state == "live":
        return _checked(opened, packages)
    missing = {package.digest.hex: package for package in packages if package.digest.hex in opened.missing}
    workshop.reporter.start("upload", len(missing), "packages")
    try:
        map_in_threads(lambda package: _upload(package, remote, workshop), tuple(missing.values()), workshop.jobs)
    finally:
        workshop.reporter.finish("upload")
    return _checked(remote.commit(opened.tx, patience), packages)


def _upload(package: CheckedPackage, remote: RemoteRepository, workshop: Workshop) -> None:
    remote.upload(package.digest.hex, package.contents.size, partial(workshop.files.open, package.path))
    workshop.reporter.advance("upload", 1)


def _checked(found: Progress, packages: Sequence[CheckedPackage]) -> Progress:
    """A receipt that names every package, where it says that they are live."""
    if found.state != "live":
        return found
    entries = (found.receipt or {}).get("entries", ())
    named = {(item.get("arch"), item.get("name"), item.get("version")) for item in entries if isinstance(item, dict)}
    for package in packages:
        info = package.contents.info
        if (info.arch, info.name, info.version) not in named:
            message = "the service calls the transaction live, and its receipt does not name the package"
            raise VerificationError(message, reason="receipt-incomplete", origin=Origin(package=info.name_version))
    return found
