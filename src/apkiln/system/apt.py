"""A Debian archive through apt's own acquisition, in private state: the system's lists and caches are never touched.

apt moves the bytes (so its proxies, credentials and transports work); what is trusted is decided by us (platform.md §5).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, EnvironmentFault, UnavailableError
from apkiln.core.limits import GIB, MIB
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.formats.deb.sources import Source, write_deb822
from apkiln.system.files import Files
from apkiln.system.openpgp import SignatureVerifier
from apkiln.system.package_archive import SignedRelease, WantedFile, check_file, download_failed, missing_list
from apkiln.system.process import Command, Completed, Runner
from apkiln.system.store import Store

MAXIMUM_RELEASE = 16 * MIB
MAXIMUM_LIST = GIB
HELPER = "/usr/lib/apt/apt-helper"
"""apt's own download program; not on PATH by design."""
SOURCE = "source"
"""In the place of an architecture: the lists of source packages, `Sources`."""
UPDATE_TIMEOUT = 600.0
DOWNLOAD_TIMEOUT = 3600.0
_CHUNK = MIB
_BATCH = 200
"""Files of one call of the helper: keeps the command line short."""
_PASSED_ON = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "APT_CONFIG")
_FALSE = {"no", "false", "without", "off", "disable", "0"}


@dataclass(frozen=True, slots=True)
class _Place:
    """A source and its private directory."""

    source: Source
    directory: Path

    @property
    def lists(self) -> Path:
        return self.directory / "lists"

    @property
    def shown(self) -> str:
        return f"{redact_url(self.source.uri)} {self.source.suite}"


class AptArchive:
    """See `PackageArchive`.  Each source has its own state below `directory`, kept between runs, so an update that changes
    nothing costs one conditional request.  `offline`: what an earlier run left is used, and nothing is fetched."""

    def __init__(
        self,
        runner: Runner,
        files: Files,
        store: Store,
        directory: Path,
        sources: Sequence[Source],
        architecture: str,
        environment: Mapping[str, str],
        *,
        offline: bool = False,
    ) -> None:
        self._offline = offline
        self._runner = runner
        self._files = files
        self._store = store
        self._directory = directory
        self._architecture = architecture
        self._of_sources = architecture == SOURCE
        self._places = tuple(_Place(source, directory / _key(source, architecture)) for source in sources)
        passed = {name: environment[name] for name in _PASSED_ON if name in environment}
        self._environment = tuple(sorted({"LC_ALL": "C", "PATH": environment.get("PATH", "/usr/bin:/bin"), **passed}.items()))

    def releases(self) -> tuple[SignedRelease, ...]:
        from concurrent.futures import ThreadPoolExecutor

        self._files.make_directory(self._directory, 0o700)
        perishable = self._respects_validity()
        with ThreadPoolExecutor(max(1, min(8, len(self._places)))) as pool:
            return tuple(pool.map(lambda place: self._release(place, perishable), self._places))

    def package_list(self, release: int, component: str) -> bytes:
        place = self._places[release]
        ending = f"_{component}_source_Sources" if self._of_sources else f"_{component}_binary-{self._architecture}_Packages"
        name = next((item for item in self._files.list(place.lists) if item.endswith(ending)), None)
        if name is None:
            raise missing_list(place.shown, component)
        return self._files.read(place.lists / name, MAXIMUM_LIST)

    def download(self, wanted: Sequence[WantedFile]) -> None:
        missing = [file for file in dict.fromkeys(wanted) if self._store.size(_digest(file)) is None]
        local = [file for file in missing if self._places[file.release].source.uri.startswith("file:")]
        for file in local:
            self._take(file, Path(self._uri(file).removeprefix("file:").replace("//", "/", 1)))
        remote = [file for file in missing if file not in set(local)]
        for start in range(0, len(remote), _BATCH):
            self._fetch(remote[start : start + _BATCH])

    def _release(self, place: _Place, perishable: bool) -> SignedRelease:
        with self._files.lock(place.directory.with_suffix(".lock")):
            if not self._offline:
                self._update(place)
            path = self._release_file(place)
            verifier = SignatureVerifier(self._runner, self._files, place.directory / "openpgp", dict(self._environment))
            signed = verifier.verify(path, Path(place.source.signed_by))
            data = self._files.read(path, MAXIMUM_RELEASE)
        source = place.source
        return SignedRelease(source.suite, source.components, data, signed.body, signed.signed_by, perishable, place.shown)

    def _update(self, place: _Place) -> None:
        for directory in (place.lists / "partial", place.directory / "cache" / "archives" / "partial"):
            self._files.make_directory(directory)
        configured = Source(
            place.source.uri, place.source.suite, place.source.components, str(Path(place.source.signed_by).absolute()),
            () if self._of_sources else (self._architecture,),
        )  # fmt: skip
        listed = write_deb822((configured,))
        if self._of_sources:
            listed = listed.replace(b"Types: deb\n", b"Types: deb-src\n", 1)
        with self._files.create(place.directory / "list.sources", replace=True) as stream:
            # Only package lists: no translations, no desktop metadata, whatever the machine has configured.
            stream.write(listed + (b"Targets: Sources\n" if self._of_sources else b"Targets: Packages\n"))
        done = self._run(("apt-get", *self._options(place), "update"), UPDATE_TIMEOUT)
        if done.exit_code:
            raise UnavailableError(
                "the archive could not be read",
                reason="archive-unavailable",
                origin=Origin(source=place.shown),
                retriable=True,
                details=_last_lines(done),
            )

    def _release_file(self, place: _Place) -> Path:
        there = self._files.status(place.lists) is not None
        name = next((item for item in self._files.list(place.lists) if item.endswith("_InRelease")), None) if there else None
        if name is None:
            raise UnavailableError(
                "the archive has no signed release file", reason="archive-unavailable", origin=Origin(source=place.shown)
            )
        return place.lists / name

    def _options(self, place: _Place) -> tuple[str, ...]:
        state = place.directory
        settings = {
            "Dir::Etc::sourcelist": state / "list.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": state,
            "Dir::State::lists": place.lists,
            "Dir::State::status": "/dev/null",
            "Dir::Cache": state / "cache",
            **({} if self._of_sources else {"APT::Architecture": self._architecture}),
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "false",
            "Acquire::PDiffs": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "pkgCacheFile::Generate": "false",
            # Without it apt reports success when a fetch failed and an old list is still there.
            "APT::Update::Error-Mode": "any",
        }
        listed = [option for name, value in settings.items() for option in ("-o", f"{name}={value}")]
        return tuple(listed) if self._of_sources else (*listed, "-o", f"APT::Architectures={self._architecture}")

    def _respects_validity(self) -> bool:
        """The machine's own setting; dated snapshots of an archive are past their date on purpose."""
        done = self._run(("apt-config", "shell", "VALUE", "Acquire::Check-Valid-Until"), 60)
        return done.stdout.decode("utf-8", "replace").strip().removeprefix("VALUE=").strip("'\"").lower() not in _FALSE

    def _fetch(self, wanted: Sequence[WantedFile]) -> None:
        if self._offline:
            raise download_failed(wanted[0], "it is not in the cache, and the network is not to be used")
        place = self._places[wanted[0].release]
        holding = self._directory / "downloads"
        self._files.make_directory(holding, 0o700)
        with self._files.lock(self._directory / "downloads.lock"):
            triples: list[str] = []
            for file in wanted:
                self._files.remove(holding / file.sha256)
                triples += [self._uri(file), str(holding / file.sha256), f"SHA256:{file.sha256}"]
            done = self._run((HELPER, *self._options(place), "download-file", *triples), DOWNLOAD_TIMEOUT)
            try:
                for file in wanted:
                    self._take_downloaded(file, holding / file.sha256, done)
            finally:
                for name in self._files.list(holding):
                    self._files.remove(holding / name)

    def _take_downloaded(self, wanted: WantedFile, path: Path, done: Completed) -> None:
        if self._files.status(path) is None:
            fault = download_failed(wanted, "the archive did not deliver it")
            fault.details = tuple(_last_lines(done))
            raise fault
        self._take(wanted, path)

    def _take(self, wanted: WantedFile, path: Path) -> None:
        try:
            stream = self._files.open(path)
        except ApkilnError as fault:
            raise download_failed(wanted, fault.message) from fault
        size = 0
        state = hashlib.sha256()
        with stream, self._store.writer() as writer:
            for chunk in _chunks(stream, wanted.size):
                size += len(chunk)
                state.update(chunk)
                writer.write(chunk)
            check_file(wanted, size, state.hexdigest())
            writer.commit()

    def _uri(self, wanted: WantedFile) -> str:
        return f"{self._places[wanted.release].source.uri}/{wanted.path}"

    def _run(self, arguments: tuple[str, ...], timeout: float) -> Completed:
        try:
            return self._runner.run(Command(arguments, self._environment, timeout=timeout))
        except EnvironmentFault as fault:
            if fault.reason == "missing-program":
                fault.hint = "importing from an archive needs apt (`apt-get`, `apt-helper`) and `gpgv`"
            raise


def _key(source: Source, architecture: str) -> str:
    text = write_deb822((source,)) + architecture.encode()
    return hashlib.sha256(text).hexdigest()[:32]


def _digest(wanted: WantedFile) -> Digest:
    return Digest.sha256(bytes.fromhex(wanted.sha256))


def _chunks(stream: BinaryIO, expected: int) -> Iterator[bytes]:
    """Pieces of a file, at most one byte more than expected: enough to see that it is too long."""
    left = expected + 1
    while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
        left -= len(chunk)
        yield chunk


def _last_lines(done: Completed) -> Sequence[str]:
    return [line for line in io.TextIOWrapper(io.BytesIO(done.stderr), "utf-8", "replace").read().splitlines() if line][-10:]
