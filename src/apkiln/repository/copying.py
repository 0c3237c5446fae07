"""A repository directory copied to the place it is served from, so that no client ever sees an index before its packages.

What is there already is compared by content, never by name, size or time: a file of the same name and size that is another
one is replaced.  Every package is read completely and compared with the index that lists it before anything is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FaultCollector, UsageError, VerificationError
from apkiln.core.origin import Origin
from apkiln.core.value import value
from apkiln.formats.apk.package import read_package
from apkiln.formats.apk.records import IndexRecord
from apkiln.repository.layout import INDEX, LOCK, NOARCH, PACKAGE_SUFFIX, PUBLIC_SUFFIX, index_path
from apkiln.repository.publishing import Workshop, read_listing
from apkiln.system.files import Files
from apkiln.system.parallel import map_in_threads

_CHUNK = 1 << 20
_PACKAGE, _KEY, _INDEX = range(3)


@value
class CopyPlan:
    """What a copy does, in this order; paths are relative to both directories."""

    uploads: tuple[str, ...]
    """Packages, then keys, then indexes."""
    unchanged: tuple[str, ...]
    removals: tuple[str, ...]
    """Packages that only the target has; removed last, and only where that is wanted."""


def plan_copy(source: Mapping[str, Digest], target: Mapping[str, Digest], *, delete: bool = False) -> CopyPlan:
    """What makes `target` hold all of `source`: relative path → digest of the content.  Pure."""
    order = sorted(source, key=lambda path: (_rank(path), path))
    extra = sorted(path for path in target if path not in source and _rank(path) == _PACKAGE)
    return CopyPlan(
        tuple(path for path in order if target.get(path) != source[path]),
        tuple(path for path in order if target.get(path) == source[path]),
        tuple(extra) if delete else (),
    )


def _rank(path: str) -> int:
    if path.endswith(PACKAGE_SUFFIX):
        return _PACKAGE
    return _INDEX if path.rpartition("/")[2] == INDEX else _KEY


def copy_repository(
    directory: PurePath, target: PurePath, workshop: Workshop, *, delete: bool = False, plan_only: bool = False
) -> CopyPlan:
    """Copy a repository; what was done, or with `plan_only` what would be.

    UsageError `same-directory`; VerificationError `index-drift` when a package is not what its index says, and the errors of
    `read_listing` and `read_package`: nothing is written then.  Stopped anywhere, what the target's indexes list was there.
    """
    if directory == target:
        raise UsageError("a repository is copied to another directory", reason="same-directory")
    files = workshop.files
    with files.lock(directory / LOCK):
        source = _contents(directory, workshop)
        if plan_only:
            return plan_copy(source, _present(target, files), delete=delete)
        files.make_directory(target)
        with files.lock(target / LOCK):
            plan = plan_copy(source, _present(target, files), delete=delete)
            _perform(directory, target, plan, source, workshop)
    return plan


def _perform(directory: PurePath, target: PurePath, plan: CopyPlan, source: Mapping[str, Digest], workshop: Workshop) -> None:
    workshop.reporter.start("copy", len(plan.uploads), "files")
    try:
        for path in plan.uploads:
            _copy(directory / path, target / path, source[path], workshop.files)
            workshop.reporter.advance("copy", 1)
    finally:
        workshop.reporter.finish("copy")
    for path in plan.removals:
        workshop.files.remove(target / path)


def _copy(path: PurePath, target: PurePath, digest: Digest, files: Files) -> None:
    files.make_directory(target.parent)
    state = hashlib.sha256()
    with files.open(path) as stream, files.create(target, replace=True) as out:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
            out.write(chunk)
        if state.digest() != digest.value:
            raise VerificationError(
                "the file changed after it was read", reason="file-changed", origin=Origin(source=str(path)), retriable=True
            )


def _contents(directory: PurePath, workshop: Workshop) -> dict[str, Digest]:
    """Everything that is served, verified."""
    files, listing = workshop.files, read_listing(directory, workshop)
    wanted = [
        (f"{arch}/{record.name_version}{PACKAGE_SUFFIX}", record) for arch, records in listing.items() for record in records
    ]
    results = map_in_threads(lambda item: _checked(directory, *item, workshop), wanted, workshop.jobs)
    FaultCollector([result for result in results if isinstance(result, ApkilnError)]).raise_if_any()
    found = {path: result for (path, _), result in zip(wanted, results, strict=True) if isinstance(result, Digest)}
    for path in (*_others(directory, files), *(f"{arch}/{INDEX}" for arch in listing)):
        found[path] = _digest(directory / path, files)
    return found


def _checked(directory: PurePath, path: str, record: IndexRecord, workshop: Workshop) -> Digest | ApkilnError:
    """The digest of a package that is what its record says; `noarch` packages are listed under the index's architecture."""
    try:
        with workshop.files.open(directory / path) as stream:
            contents = read_package(stream, workshop.limits)
    except ApkilnError as fault:
        return fault.located(Origin(source=str(directory / path)))
    if (contents.identity, contents.size, contents.info.name_version) != (record.identity, record.size, record.name_version):
        return VerificationError(
            "the index lists another package under this name",
            reason="index-drift",
            origin=Origin(source=str(directory / path), package=record.name_version),
            hint=f"write `{index_path(directory, path.partition('/')[0])}` anew with `apkiln repo index`",
        )
    return Digest.sha256(contents.sha256)


def _others(directory: PurePath, files: Files) -> Iterator[str]:
    """Public keys, and the packages that architectures of later get."""
    yield from (name for name in files.list(directory) if name.endswith(PUBLIC_SUFFIX))
    if files.status(directory / NOARCH) is not None:
        yield from (f"{NOARCH}/{name}" for name in files.list(directory / NOARCH) if name.endswith(PACKAGE_SUFFIX))


def _present(target: PurePath, files: Files) -> dict[str, Digest]:
    """Every key, index and package of the target, by its content."""
    if files.status(target) is None:
        return {}
    found = [name for name in files.list(target) if name.endswith(PUBLIC_SUFFIX)]
    for name in files.list(target):
        status = files.status(target / name)
        if status is not None and status.is_directory:
            served = (item for item in files.list(target / name) if item == INDEX or item.endswith(PACKAGE_SUFFIX))
            found += [f"{name}/{item}" for item in served]
    return {path: _digest(target / path, files) for path in found}


def _digest(path: PurePath, files: Files) -> Digest:
    state = hashlib.sha256()
    with files.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return Digest.sha256(state.digest())
