"""Packages of a repository, read for analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath

from apkiln.acquire.access import Access
from apkiln.acquire.indexes import load_indexes
from apkiln.acquire.keyring import load_keyring
from apkiln.acquire.packages import SelectedPackage, acquire_packages, open_package
from apkiln.acquire.repositories import parse_repositories
from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.core.origin import Origin
from apkiln.formats.apk.policy import COMPAT
from apkiln.formats.apk.records import IndexRecord
from apkiln.package.analysis.published import PublishedPackage, read_published
from apkiln.system.parallel import map_in_threads
from apkiln.system.urls import is_http


class RepositoryPackages:
    """The packages that a repository holds for one architecture.

    A local directory is read as it is, with or without an index: its packages belong to whoever scans.  A remote one is
    trusted only through its signed index.
    """

    def __init__(self, location: str, arch: str, keys: Sequence[str], access: Access, *, ignore_signatures: bool = False) -> None:
        self._location = location
        self._arch = arch
        self._keys = keys
        self._access = access
        self._ignore_signatures = ignore_signatures

    def named(self, names: Iterable[tuple[str, str]]) -> tuple[PublishedPackage, ...]:
        """Packages by (name, version), in that order.  UnavailableError `missing-package` when one is not there."""
        wanted = list(names)
        if is_http(self._location):
            return self._acquired(lambda record: (record.name, record.version) in wanted, wanted)
        files = [self._directory() / f"{name}-{version}.apk" for name, version in wanted]
        missing = [path for path in files if self._access.files.status(path) is None]
        if missing:
            raise _missing(missing[0].name, self._location)
        return tuple(self._read(path) for path in files)

    def all(self) -> tuple[PublishedPackage, ...]:
        """Every package, sorted by file name."""
        if is_http(self._location):
            return self._acquired(lambda _: True, ())
        directory = self._directory()
        paths = [directory / name for name in self._access.files.list(directory) if name.endswith(".apk")]
        return tuple(map_in_threads(self._read, paths, self._access.jobs))

    def _directory(self) -> PurePath:
        base = PurePath(self._access.locate(self._location))
        below = base / self._arch
        return below if self._access.files.status(below) is not None else base

    def _read(self, path: PurePath) -> PublishedPackage:
        try:
            with self._access.files.open(path) as stream:
                return read_published(stream, self._access.limits)
        except ApkilnError as fault:
            fault.located(Origin(source=str(path)))
            raise

    def _acquired(self, test: Callable[[IndexRecord], bool], wanted: Sequence[tuple[str, str]]) -> tuple[PublishedPackage, ...]:
        repositories = parse_repositories([self._location])
        keyring = load_keyring(self._keys, self._access)
        (index,) = load_indexes(repositories, self._arch, keyring, self._access, ignore_signatures=self._ignore_signatures)
        records = {(record.name, record.version): record for record in index.records if test(record)}
        for name, version in wanted:
            if (name, version) not in records:
                raise _missing(f"{name}-{version}", self._location)
        selected = [SelectedPackage(records[key], repositories[0], self._arch) for key in wanted or sorted(records)]
        acquired = acquire_packages(selected, self._access, policy=COMPAT)

        def read(number: int) -> PublishedPackage:
            with open_package(acquired[number], self._access) as stream:
                return read_published(stream, self._access.limits)

        return tuple(map_in_threads(read, range(len(acquired)), self._access.jobs))


def _missing(name: str, location: str) -> UnavailableError:
    hint = "build it, or name the repository that has it with `--repository-append`"
    return UnavailableError(f"`{location}` has no package `{name}`", reason="missing-package", hint=hint)
