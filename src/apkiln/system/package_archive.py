"""A Debian archive as a source of packages: signed releases, lists, files; and its twin in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.deb import writer
from apkiln.formats.deb.deb822 import Stanza
from apkiln.formats.deb.package import DebReader
from apkiln.system.store import Store


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """One suite of one archive, its signature checked against the keyring its source names."""

    suite: str
    components: tuple[str, ...]
    """Wanted ones; lists of others need not be there."""
    data: bytes
    """The whole `InRelease` file."""
    body: bytes
    """What the signature covers."""
    signed_by: tuple[str, ...]
    """Fingerprints of the primary keys of all good signatures, sorted; never empty."""
    perishable: bool
    """Whether `Valid-Until` is to be respected."""
    source: str
    """For messages: the URI without credentials, and the suite."""


class WantedFile(NamedTuple):
    """A package file as a verified list describes it."""

    release: int
    """Index into `releases()`."""
    path: str
    """Relative to the archive's root."""
    size: int
    sha256: str
    """64 hex digits."""


class PackageArchive(Protocol):
    """Where Debian packages come from."""

    def releases(self) -> tuple[SignedRelease, ...]:
        """Fetch the newest release files, check their signatures; in the order of the sources.

        Raises UnavailableError (`archive-unavailable`), VerificationError (`chain-signature`).
        """

    def package_list(self, release: int, component: str) -> bytes:
        """The uncompressed `Packages` list of a release from the last call of `releases`; not verified: the caller compares it
        with the release.  Raises UnavailableError (`missing-package-list`)."""

    def download(self, wanted: Sequence[WantedFile]) -> None:
        """Bring files into the store under their SHA-256, each compared with size and digest; those there already are not
        fetched.  Raises UnavailableError (`download-failed`), VerificationError (`chain-hash`)."""


class MemoryArchive:
    """The twin: serves releases, lists and files it was given.  `downloads` counts fetched files."""

    def __init__(
        self,
        releases: Sequence[SignedRelease],
        lists: Mapping[tuple[int, str], bytes],
        files: Mapping[tuple[int, str], bytes],
        store: Store,
    ) -> None:
        self._releases = tuple(releases)
        self._lists = dict(lists)
        self._files = dict(files)
        self._store = store
        self.downloads = 0

    @classmethod
    def of_packages(
        cls, suites: Mapping[str, Sequence[bytes]], store: Store, *, architecture: str, date: int, valid_until: int = 0
    ) -> MemoryArchive:
        """An archive of made-up suites (component `main`) from `.deb` files: lists and releases are written to match."""
        releases: list[SignedRelease] = []
        lists: dict[tuple[int, str], bytes] = {}
        files: dict[tuple[int, str], bytes] = {}
        for number, (suite, packages) in enumerate(suites.items()):
            stanzas: list[Stanza] = []
            for package in packages:
                path = f"pool/{hashlib.sha256(package).hexdigest()[:16]}.deb"
                files[number, path] = package
                stanzas.append(writer.package_stanza(DebReader(BytesIO(package)).control().fields, package, path))
            lists[number, "main"] = writer.write_package_list(stanzas)
            named = ((f"main/binary-{architecture}/Packages", lists[number, "main"]),)
            body = writer.write_release(suite, named, date=date, valid_until=valid_until)
            releases.append(SignedRelease(suite, ("main",), body, body, ("0" * 40,), True, f"memory: {suite}"))
        return cls(releases, lists, files, store)

    def releases(self) -> tuple[SignedRelease, ...]:
        for release in self._releases:
            if not release.signed_by:
                raise VerificationError("no good signature", reason="chain-signature", origin=Origin(source=release.source))
        return self._releases

    def package_list(self, release: int, component: str) -> bytes:
        found = self._lists.get((release, component))
        if found is None:
            raise missing_list(self._releases[release].source, component)
        return found

    def download(self, wanted: Sequence[WantedFile]) -> None:
        for file in wanted:
            if self._store.size(Digest.sha256(bytes.fromhex(file.sha256))) is not None:
                continue
            data = self._files.get((file.release, file.path))
            if data is None:
                raise download_failed(file, "not in the archive")
            check_file(file, len(data), hashlib.sha256(data).hexdigest())
            with self._store.writer() as blob:
                blob.write(data)
                blob.commit()
            self.downloads += 1


def check_file(wanted: WantedFile, size: int, sha256: str) -> None:
    """Compare a file with its list entry (spec debian.md §11).  Raises VerificationError (`chain-hash`)."""
    if (size, sha256) != (wanted.size, wanted.sha256):
        raise VerificationError(
            f"`{wanted.path}` is not the file its list describes",
            reason="chain-hash",
            origin=Origin(source=wanted.path, digest=f"sha256:{sha256}"),
            retriable=True,
        )


def missing_list(source: str, component: str) -> UnavailableError:
    """A release without the list of a component."""
    return UnavailableError(
        f"no package list of component `{component}`", reason="missing-package-list", origin=Origin(source=source)
    )


def download_failed(wanted: WantedFile, why: str) -> UnavailableError:
    """A file that could not be fetched."""
    return UnavailableError(
        f"`{wanted.path}` could not be fetched: {why}",
        reason="download-failed",
        origin=Origin(source=wanted.path),
        retriable=True,
    )
