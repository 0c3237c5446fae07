"""Make a repository directory, add packages to it, write its indexes anew (spec repository.md §2 I1-I5, apk.md §3).

Order is the safety: a package file is complete, on disk and under its name before an index that lists it is renamed into
place, and nothing that an index lists is removed.  So whenever the process or the machine stops, each index is the old
one or the new one, and all it lists can be fetched.  Writers wait for each other on a lock file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, ConflictError, FaultCollector, FormatError, VerificationError, ViolationError
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.origin import Origin
from apkiln.core.progress import Reporter, Silent
from apkiln.formats.apk.index import read_index, write_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.signature import verify
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository import signing
from apkiln.repository.addition import Addition, CheckedPackage, Copy, listed_record, plan_addition
from apkiln.repository.closure import Unresolved, unresolved_dependencies
from apkiln.repository.layout import INDEX, LOCK, NOARCH, PACKAGE_SUFFIX, index_path, package_file
from apkiln.system.files import Files
from apkiln.system.parallel import map_in_threads
from apkiln.system.signer import Signer

DESCRIPTION = "apkiln repository"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Workshop:
    """What publishing needs of the outside."""

    files: Files
    limits: Limits = DEFAULT_LIMITS
    reporter: Reporter = field(default_factory=Silent)
    jobs: int = 2
    strict: bool = False
    """A dependency that nothing in the repository satisfies refuses the change instead of being told."""


@dataclass(frozen=True, slots=True)
class WrittenIndex:
    """One index after a change."""

    arch: str
    packages: int
    digest: Digest
    """SHA-256 of the file."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What a command changed."""

    added: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    indexes: tuple[WrittenIndex, ...] = ()
    """Those that were written."""
    unresolved: tuple[Unresolved, ...] = ()
    """Of the packages that were added (all packages when indexes are written anew)."""


def add_packages(
    directory: PurePath,
    paths: Sequence[PurePath],
    keys: Sequence[PurePath],
    workshop: Workshop,
    architectures: Sequence[str] = (),
) -> Publication:
    """Verify each package file completely, place it, and list it in the index of its architecture.

    All or nothing: every file is checked before anything is written; adding the same bytes again changes nothing.
    `architectures` get an index although no package names them.  Raises the errors of `read_package`, `plan_addition` and
    `signing.signers`, ConflictError `version-exists`, VerificationError when an index that is there does not verify with
    the repository's keys, ViolationError `dependencies-unresolved` when strict.
    """
    packages = read_all(paths, workshop)
    found = signing.signers(directory, keys, workshop.files)
    with workshop.files.lock(directory / LOCK):
        current = _read_indexes(directory, workshop)
        new = {package.contents.info.arch for package in packages} | set(architectures)
        spread = _noarch_packages(directory, workshop) if new - set(current) - {NOARCH} else []
        addition = plan_addition(current, packages, spread, architectures)
        _refuse_unresolved(addition.unresolved, workshop)
        return _perform(directory, addition, found, workshop)


def write_indexes(directory: PurePath, keys: Sequence[PurePath], workshop: Workshop) -> Publication:
    """Write the index of every architecture anew from the package files that are there.

    Each file is read completely first; FormatError `package-misplaced` when its name or directory is not its own.  With
    any fault nothing is written.
    """
    files = workshop.files
    found = signing.signers(directory, keys, files)
    with files.lock(directory / LOCK):
        homes = _architectures(directory, workshop)
        paths = [path for arch in (*homes, NOARCH) for path in _package_paths(directory / arch, workshop)]
        packages = read_all(paths, workshop)
        for package in packages:
            _refuse_misplaced(package)
        spread = [package for package in packages if package.path.parent.name == NOARCH]
        indexes, copies = [], []
        for arch in homes:
            own = {package.path.name: package for package in packages if package.path.parent.name == arch}
            missing = [package for package in spread if package.path.name not in own]
            copies += [Copy(package, arch) for package in missing]
            records = tuple(listed_record(package, arch) for package in (*own.values(), *missing))
            indexes.append((arch, records))
        unresolved = tuple(item for arch, records in indexes for item in unresolved_dependencies(arch, records, records))
        _refuse_unresolved(unresolved, workshop)
        return _perform(directory, Addition(tuple(copies), tuple(indexes), (), (), unresolved), found, workshop)


def read_listing(directory: PurePath, workshop: Workshop) -> dict[str, tuple[IndexRecord, ...]]:
    """Architecture → records of its verified index, for every index that is there."""
    return {arch: tuple(records) for arch, records in _read_indexes(directory, workshop).items()}


def _perform(directory: PurePath, addition: Addition, found: Sequence[Signer], workshop: Workshop) -> Publication:
    """Copies, then keys, then indexes."""
    files, reporter = workshop.files, workshop.reporter
    reporter.start("publish", len(addition.copies), "packages")
    try:
        for copy in addition.copies:
            _place(directory, copy, workshop)
            reporter.advance("publish", 1)
    finally:
        reporter.finish("publish")
    signing.publish_keys(directory, found, files)
    written = tuple(_write_index(directory, arch, records, found, workshop) for arch, records in addition.indexes)
    return Publication(addition.added, addition.unchanged, written, addition.unresolved)


def _place(directory: PurePath, copy: Copy, workshop: Workshop) -> None:
    """The file under its name, with the bytes that were verified."""
    files, target = workshop.files, directory / copy.arch / copy.name
    if copy.package.path == target:
        return
    status = files.status(target)
    if status is not None:
        if _file_digest(target, workshop) != copy.package.digest:
            raise ConflictError(
                f"`{target}` exists with other content",
                reason="version-exists",
                origin=Origin(source=str(copy.package.path), package=copy.package.contents.info.name_version),
                hint="raise the release number, or remove the file if no index ever listed it",
            )
        return
    files.make_directory(target.parent)
    state = hashlib.sha256()
    with files.open(copy.package.path) as source, files.create(target) as stream:
        while chunk := source.read(_CHUNK):
            state.update(chunk)
            stream.write(chunk)
        if state.digest() != copy.package.contents.sha256:
            raise VerificationError(
                "the file changed after it was verified", reason="file-changed", origin=Origin(source=str(copy.package.path))
            )


def _write_index(
    directory: PurePath, arch: str, records: Sequence[IndexRecord], found: Sequence[Signer], workshop: Workshop
) -> WrittenIndex:
    data = write_index(records, DESCRIPTION, canonical_codec(), found)
    workshop.files.make_directory(directory / arch)
    with workshop.files.create(index_path(directory, arch), replace=True) as stream:
        stream.write(data)
    return WrittenIndex(arch, len(records), Digest.sha256(hashlib.sha256(data).digest()))


def _read_indexes(directory: PurePath, workshop: Workshop) -> dict[str, list[IndexRecord]]:
    """Every index, verified with the repository's own keys."""
    trusted = signing.keyring(directory, workshop.files)
    homes = [arch for arch in _architectures(directory, workshop) if workshop.files.status(index_path(directory, arch))]
    return {arch: _read_index(index_path(directory, arch), trusted, workshop) for arch in homes}


def _read_index(path: PurePath, trusted: Keyring, workshop: Workshop) -> list[IndexRecord]:
    try:
        index = read_index(workshop.files.read(path, workshop.limits.index_decompressed), workshop.limits)
        verify(index.signatures, index.signed_bytes, trusted)
        return list(parse_index_text(index.text, workshop.limits).records)
    except ApkilnError as fault:
        fault.located(Origin(source=str(path)))
        fault.hint = fault.hint or "write it anew from the packages with `apkiln repo index`"
        raise


def _architectures(directory: PurePath, workshop: Workshop) -> list[str]:
    """Directories that are an architecture: they hold an index or packages, and are not `noarch`."""
    files, found = workshop.files, []
    for name in files.list(directory):
        status = files.status(directory / name)
        if status is not None and status.is_directory and name != NOARCH and not name.startswith("."):
            entries = files.list(directory / name)
            if INDEX in entries or any(entry.endswith(PACKAGE_SUFFIX) for entry in entries):
                found.append(name)
    return found


def _package_paths(directory: PurePath, workshop: Workshop) -> list[PurePath]:
    if workshop.files.status(directory) is None:
        return []
    return [directory / name for name in workshop.files.list(directory) if name.endswith(PACKAGE_SUFFIX)]


def _noarch_packages(directory: PurePath, workshop: Workshop) -> list[CheckedPackage]:
    return read_all(_package_paths(directory / NOARCH, workshop), workshop)


def read_all(paths: Sequence[PurePath], workshop: Workshop) -> list[CheckedPackage]:
    """Read every package completely; all faults at once."""
    workshop.reporter.start("verify", len(paths), "packages")
    try:
        results = map_in_threads(lambda path: _read(path, workshop), paths, workshop.jobs)
    finally:
        workshop.reporter.finish("verify")
    faults = FaultCollector([result for result in results if isinstance(result, ApkilnError)])
    faults.raise_if_any()
    return [result for result in results if isinstance(result, CheckedPackage)]


def _read(path: PurePath, workshop: Workshop) -> CheckedPackage | ApkilnError:
    try:
        with workshop.files.open(path) as stream:
            contents = read_package(stream, workshop.limits)
    except ApkilnError as fault:
        return fault.located(Origin(source=str(path)))
    finally:
        workshop.reporter.advance("verify", 1)
    return CheckedPackage(path, contents)


def _file_digest(path: PurePath, workshop: Workshop) -> Digest:
    state = hashlib.sha256()
    with workshop.files.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return Digest.sha256(state.digest())


def _refuse_misplaced(package: CheckedPackage) -> None:
    info, path = package.contents.info, package.path
    if path.name != package_file(info) or info.arch not in {path.parent.name, NOARCH}:
        raise FormatError(
            f"the package is {info.name_version} for {info.arch}, which is not what its place says",
            reason="package-misplaced",
            origin=Origin(source=str(path), package=info.name_version),
            hint=f"it belongs to {info.arch}/{package_file(info)}",
        )


def _refuse_unresolved(unresolved: Iterable[Unresolved], workshop: Workshop) -> None:
    lines = [f"{item.package} ({item.arch}) needs `{item.item}`" for item in unresolved]
    if lines and workshop.strict:
        raise ViolationError(
            f"{len(lines)} dependenc{'ies have' if len(lines) > 1 else 'y has'} no provider in the repository",
            reason="dependencies-unresolved",
            details=lines,
            hint="add what provides them first, or leave out `--strict`",
        )
