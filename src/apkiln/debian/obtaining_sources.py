"""Files of Debian source packages, with upstream's own signature where the package has one (spec platform.md §5)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, UnavailableError
from apkiln.core.limits import DEFAULT_LIMITS, MIB
from apkiln.core.origin import Origin
from apkiln.debian.source_packages import SourceCatalogue, SourceFile, SourcePackage
from apkiln.formats.archive.tar_reader import TarReader
from apkiln.formats.archive.tar_rules import LABELS
from apkiln.formats.deb.compression import Window, decompressed
from apkiln.system.files import Files
from apkiln.system.openpgp import DetachedSignature, SignatureVerifier
from apkiln.system.package_archive import PackageArchive
from apkiln.system.store import Store

_CHUNK = MIB
_KEYS = ("debian/upstream/signing-key.asc", "debian/upstream/signing-key.pgp")
_MAXIMUM_PACKAGING = 256 * MIB
_MAXIMUM_KEYS = 4 * MIB


class UpstreamSignature(NamedTuple):
    """What is known of upstream's own signature of a file."""

    state: str
    """`good`, `expired-key` (good, and a key expired since), `absent` (the package has none), `no-key` (Debian keeps no key)."""
    signed_by: tuple[str, ...] = ()
    """Fingerprints of primary keys, sorted."""


class ObtainedFile(NamedTuple):
    """One file of a source package, in the store."""

    package: SourcePackage
    file: SourceFile
    signature: UpstreamSignature

    @property
    def digest(self) -> Digest:
        return Digest.sha256(bytes.fromhex(self.file.wanted.sha256))

    @property
    def shown(self) -> str:
        """Where it is from, for people."""
        return f"debian: {self.package.name} {self.package.version} ({self.package.suite})"

    def record(self) -> dict[str, object]:
        """What is worth keeping beside the file."""
        return {
            "file": self.file.name,
            "sha256": self.file.wanted.sha256,
            "package": self.package.name,
            "version": self.package.version,
            "suite": self.package.suite,
            "releaseSha256": self.package.release_sha256,
            "releaseSignedBy": list(self.package.signed_by),
            "repacked": self.package.repacked,
            "upstreamSignature": self.signature.state,
            "upstreamSignedBy": list(self.signature.signed_by),
        }


class SourceShop:
    """Brings files of source packages.  `directory` is for files that `gpgv` has to see."""

    def __init__(
        self,
        archive: PackageArchive,
        catalogue: Callable[[], SourceCatalogue],
        store: Store,
        files: Files,
        verifier: SignatureVerifier,
        directory: Path,
    ) -> None:
        self._archive = archive
        self._open = catalogue
        self._store = store
        self._files = files
        self._verifier = verifier
        self._directory = directory
        self._catalogue: SourceCatalogue | None = None
        self.obtained: list[ObtainedFile] = []
        """Everything that was brought, in order."""

    @property
    def catalogue(self) -> SourceCatalogue:
        """The lists, fetched and verified with the first question."""
        self._files.make_directory(self._directory, 0o700)
        with self._files.lock(self._directory / "catalogue.lock"):
            if self._catalogue is None:
                self._catalogue = self._open()
        return self._catalogue

    def obtain(self, package: SourcePackage, file: SourceFile) -> ObtainedFile:
        """Bring a file into the store, compared with the signed lists, and check upstream's signature of it.

        Raises VerificationError `chain-hash`, `upstream-signature` (one is there and is bad), UnavailableError
        `download-failed`, EnvironmentFault `missing-program`.
        """
        self._files.make_directory(self._directory, 0o700)
        with self._files.lock(self._directory / "lock"):
            found = ObtainedFile(package, file, self._signature(package, file))
            self.obtained.append(found)
        return found

    def find(self, digests: tuple[Digest, ...], write: Callable[[bytes], object]) -> str:
        """A file by its SHA-256, for `package.sources.access.FileFinder`."""
        for digest in digests:
            found = self.catalogue.with_file(digest.hex) if digest.algorithm == "sha256" else None
            if found is not None:
                obtained = self.obtain(*found)
                self._copy(obtained.file, write)
                return obtained.shown
        return ""

    def deliver(self, obtained: ObtainedFile, write: Callable[[bytes], object]) -> None:
        """The content of a file that was brought."""
        self._copy(obtained.file, write)

    def _copy(self, file: SourceFile, write: Callable[[bytes], object]) -> None:
        stream = self._store.open(Digest.sha256(bytes.fromhex(file.wanted.sha256)))
        if stream is None:
            raise UnavailableError(f"`{file.name}` vanished from the cache", reason="download-failed", retriable=True)
        with stream:
            while chunk := stream.read(_CHUNK):
                write(chunk)

    def _signature(self, package: SourcePackage, file: SourceFile) -> UpstreamSignature:
        signature, packaging = package.file(f"{file.name}.asc"), package.packaging()
        wanted = [one for one in (file, signature, packaging if signature else None) if one is not None]
        self._archive.download([one.wanted for one in wanted])
        if signature is None:
            return UpstreamSignature("absent")
        key = self._key(packaging) if packaging is not None else b""
        if not key:
            return UpstreamSignature("no-key")
        found = self._verified(file, signature, key)
        return UpstreamSignature("expired-key" if found.expired else "good", found.signed_by)

    def _verified(self, file: SourceFile, signature: SourceFile, key: bytes) -> DetachedSignature:
        place = self._directory / hashlib.sha256(file.name.encode() + key).hexdigest()[:32]
        self._files.make_directory(place, 0o700)
        paths = [place / "document", place / "document.asc", place / "keys"]
        try:
            for one, path in zip((file, signature), paths, strict=False):
                with self._files.create(path, 0o600, replace=True) as out:
                    self._copy(one, out.write)
            with self._files.create(paths[2], 0o600, replace=True) as out:
                out.write(key)
            return self._verifier.verify_detached(paths[1], paths[0], paths[2])
        except ApkilnError as error:
            error.located(Origin(source=file.name))
            raise
        finally:
            for path in paths:
                self._files.remove(path)

    def _key(self, packaging: SourceFile) -> bytes:
        """Upstream's public keys as Debian keeps them, empty when it keeps none."""
        content = bytearray()
        self._copy(packaging, content.extend)
        suffix = "." + packaging.name.rpartition(".")[2]
        window = Window(BytesIO(content), 0, len(content))
        chunks = decompressed(window, suffix, _MAXIMUM_PACKAGING, DEFAULT_LIMITS, Origin(source=packaging.name))
        reader = TarReader(chunks, LABELS, section=packaging.name)
        for entry in reader:
            if entry.path.removeprefix("./") in _KEYS and entry.size <= _MAXIMUM_KEYS:
                return b"".join(reader.content())
        return b""
