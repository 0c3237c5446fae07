"""Packages fetched, verified against their index records, and kept (spec apk.md §12.1, image.md §11.3, §12).

A package is in the table `packages` only after the complete verified read: identity → SHA-256 and size of the file, and the
digest of the record it agreed with.  What is not in the table is not used, whatever blobs there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence

from apkiln.acquire.access import Access
from apkiln.acquire.repositories import Repository
from apkiln.acquire.selection import SelectedPackage as SelectedPackage
from apkiln.acquire.sums import check_sum
from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FormatError, UnavailableError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.protocol import Protocol
from apkiln.core.secret import redact_url
from apkiln.formats.apk.keys import Keyring
from apkiln.formats.apk.policy import STRICT, PackagePolicy
from apkiln.formats.apk.records import IndexRecord
from apkiln.system.parallel import map_in_threads
from apkiln.system.store import damaged, open_verified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from apkiln.formats.apk.contents import PackageContents
    from apkiln.formats.apk.package import ContentSink
    from apkiln.formats.archive.entry import Entry

_TABLE = "packages"
_CHECKS = "1"
"""Changes when `read_package` begins to refuse more: rows of older checks are then checked again."""
_ABSENT = {"not-found", "missing-file"}
TASK = "packages"
"""Of the progress that the reporter hears of."""


class AcquiredPackage(NamedTuple):
    """A package that is in the store, verified."""

    record: IndexRecord
    repository: Repository
    digest: Digest
    """SHA-256 of the `.apk` file, and its name in the store."""
    size: int
    fetched: bool = False
    """It came in this run: its sink, if any, has seen it."""


class PackageSink(Protocol):
    """Consumes the verifying read of a package that was just fetched (see `formats.apk.package.ContentSink`); left without
    `finish` it must leave nothing."""

    def __enter__(self) -> PackageSink: ...

    def __exit__(self, *_: object) -> None: ...

    def entry(self, entry: Entry) -> None: ...

    def content(self, chunk: bytes) -> None: ...

    def finish(self, contents: PackageContents) -> object:
        """The package is verified."""


SinkFactory = Callable[[SelectedPackage], PackageSink]


class _Kept(NamedTuple):
    digest: Digest
    size: int
    record: str
    """Digest of the record that the package was compared with."""


def acquire_packages(
    selected: Sequence[SelectedPackage],
    access: Access,
    sink_factory: SinkFactory | None = None,
    *,
    keyring: Keyring | None = None,
    require_signature: bool = False,
    check_stored: bool = True,
    policy: PackagePolicy = STRICT,
) -> tuple[AcquiredPackage, ...]:
    """Bring every package into the store, in the order of `selected`; each is fetched once even when listed twice.

    A fetched package is read completely under `policy` against its record (`read_package`).  Its own signature must fit
    when it is by a key of `keyring`; with `require_signature` there must be one.  A stored package is hashed again,
    unless the caller verifies what it uses by other means (`check_stored=False`); a damaged one is refused and removed,
    not replaced in silence: VerificationError `cache-entry-damaged` with package and section.

    Offline, one UnavailableError `offline` lists all that is missing.  Other errors: those of `Transfer.fetch`,
    `read_package` and the store, with package and URL.
    """
    unique = {item.record.identity: item for item in reversed(selected)}
    kept = {identity: _lookup(item.record, access) for identity, item in unique.items()}
    missing = [item for identity, item in unique.items() if kept[identity] is None]
    if access.offline:
        refuse_missing(missing)
    job = _Job(access, sink_factory, _Checks(keyring or Keyring(), require_signature, check_stored, policy))
    results = job.run(list(unique.values()), missing)
    return tuple(results[item.record.identity]._replace(record=item.record, repository=item.repository) for item in selected)


def download_package(item: SelectedPackage, access: Access) -> tuple[Digest, str]:
    """Store the bytes under their own digest, unverified, from the first place that has them; (digest, address for people).

    Of the record, name, version, architecture and size count.  Raises what `Transfer.fetch` raises and VerificationError
    `size-mismatch`, with package and address.  Tells the reporter of the bytes that came.
    """
    locations = item.repository.package_locations(item.record, item.arch)
    for number, location in enumerate(locations, 1):
        try:
            return _download_from(location, item.record, access), redact_url(location)
        except ApkilnError as fault:
            if number == len(locations) or not isinstance(fault, UnavailableError) or fault.reason not in _ABSENT:
                fault.located(Origin(source=redact_url(location), package=item.record.name_version))
                raise
    raise AssertionError("a package has at least one location")


def adopt_package(
    item: SelectedPackage,
    digest: Digest,
    access: Access,
    sink_factory: SinkFactory | None = None,
    keyring: Keyring | None = None,
    policy: PackagePolicy = STRICT,
) -> AcquiredPackage:
    """Verify a downloaded blob completely against the record of `item`, feeding the sink, and enter it in the table.

    Raises as `acquire_packages` does; a blob that does not pass is discarded.
    """
    return _Job(access, sink_factory, _Checks(keyring or Keyring(), False, False, policy)).adopt(item, digest)


def stored_package(item: SelectedPackage, access: Access) -> AcquiredPackage | None:
    """The package with the identity of the record when the store has it verified; its bytes are not hashed again.

    Size and digest are those of the stored file, whatever the record says.
    """
    kept = _lookup(item.record, access)
    return None if kept is None else AcquiredPackage(item.record, item.repository, kept.digest, kept.size)


def refuse_missing(missing: Iterable[SelectedPackage]) -> None:
    """UnavailableError `offline` that lists every package that only a remote repository has."""
    remote = [item for item in missing if not item.repository.is_local]
    names = sorted(f"{item.record.name_version}.apk from {item.repository.url}" for item in remote)
    if names:
        raise UnavailableError(
            f"{len(names)} package{'s are' if len(names) > 1 else ' is'} not in the cache and the network is off",
            reason="offline",
            details=names,
            hint="run once without `--offline`",
        )


def open_package(package: AcquiredPackage, access: Access) -> BinaryIO:
    """The bytes of an acquired package, hashed before they are returned (VerificationError `cache-entry-damaged`)."""
    origin = Origin(package=package.record.name_version)
    stream = open_verified(access.store, package.digest, origin)
    if stream is None:
        raise damaged(access.store, package.digest, origin)
    return stream


class _Checks(NamedTuple):
    """See `acquire_packages`."""

    keyring: Keyring
    require_signature: bool
    check_stored: bool
    policy: PackagePolicy


class _Job:
    """One call of `acquire_packages`."""

    def __init__(self, access: Access, sink_factory: SinkFactory | None, checks: _Checks) -> None:
        self._access = access
        self._sink_factory = sink_factory
        self._checks = checks

    def run(self, wanted: list[SelectedPackage], missing: list[SelectedPackage]) -> dict[bytes, AcquiredPackage]:
        """Acquire all, telling of the `missing` ones."""
        reporter = self._access.reporter
        if missing:
            reporter.start(TASK, sum(item.record.size for item in missing), "bytes")
        try:
            results = map_in_threads(self._acquire, wanted, self._access.jobs)
        finally:
            if missing:
                reporter.finish(TASK)
        return {package.record.identity: package for package in results}

    def _acquire(self, item: SelectedPackage) -> AcquiredPackage:
        kept = _lookup(item.record, self._access)
        if kept is None:
            with self._access.store.lock(f"package-{item.record.identity.hex()}"):
                kept = _lookup(item.record, self._access)  # another process may have fetched it meanwhile
                if kept is None:
                    return self._fetch(item)
        checks = self._checks
        if checks.check_stored or checks.require_signature or kept.record != record_digest(item.record, checks.policy):
            self._recheck(item, kept)
        return AcquiredPackage(item.record, item.repository, kept.digest, kept.size)

    def _fetch(self, item: SelectedPackage) -> AcquiredPackage:
        digest, source = download_package(item, self._access)
        try:
            check_sum(item, digest, self._access)
            return self.adopt(item, digest)
        except ApkilnError as fault:
            self._access.store.discard(digest)
            fault.located(Origin(source=source))
            raise

    def adopt(self, item: SelectedPackage, digest: Digest) -> AcquiredPackage:
        """Verify what the store has under `digest` and enter it as this package; it is discarded when it is not."""
        try:
            self._verify(item, digest)
        except BaseException as fault:
            self._access.store.discard(digest)
            if isinstance(fault, ApkilnError):
                fault.located(Origin(package=item.record.name_version))
            raise
        kept = _Kept(digest, item.record.size, record_digest(item.record, self._checks.policy))
        _remember(item.record, kept, self._access)
        return AcquiredPackage(item.record, item.repository, digest, item.record.size, True)

    def _verify(self, item: SelectedPackage, digest: Digest) -> None:
        """The complete read, which feeds the sink as well."""
        stream = self._access.store.open(digest)
        assert stream is not None, "just committed"
        with stream:
            if self._sink_factory is None:
                self._check_signature(stream, self._read(stream, item.record, None))
            else:
                with self._sink_factory(item) as sink:
                    contents = self._read(stream, item.record, sink)
                    self._check_signature(stream, contents)
                    sink.finish(contents)

    def _read(self, stream: BinaryIO, record: IndexRecord, sink: ContentSink | None) -> PackageContents:
        from apkiln.acquire.damage import located_in_section
        from apkiln.formats.apk.package import read_package

        limits = self._access.limits
        try:
            return read_package(stream, limits, self._checks.policy, sink, record)
        except ApkilnError as fault:
            located_in_section(fault, stream, record, limits)
            raise

    def _check_signature(self, stream: BinaryIO, contents: PackageContents) -> None:
        """A signature by a key we know must fit; one by a stranger proves nothing and harms nothing."""
        keyring = self._checks.keyring
        known = any(keyring.named(name) for _, name, _ in contents.signatures)
        if known or self._checks.require_signature:
            from apkiln.formats.apk.signature import verify

            offset, length = contents.sections[1]
            stream.seek(offset)
            verify(contents.signatures, stream.read(length), keyring)

    def _recheck(self, item: SelectedPackage, kept: _Kept) -> None:
        """A stored package must still be what was stored, and fit this record if it was compared with another one."""
        store, record = self._access.store, item.record
        stream = store.open(kept.digest)
        if stream is None:
            raise damaged(store, kept.digest, Origin(package=record.name_version))
        with stream:
            if _sha256_of(stream) != kept.digest.value:
                from apkiln.acquire.damage import damaged_section

                section = damaged_section(stream, record, self._access.limits)
                raise damaged(store, kept.digest, Origin(package=record.name_version, member=section))
            compared = record_digest(record, self._checks.policy)
            if self._checks.require_signature or kept.record != compared:
                stream.seek(0)
                self._check_signature(stream, self._read(stream, record, None))
                _remember(record, kept._replace(record=compared), self._access)


def record_digest(record: IndexRecord, policy: PackagePolicy) -> str:
    """What of a record a package is compared with, and by which checks, as hex."""
    fields = (record.name, record.version, record.arch, record.identity.hex(), record.size)
    compared = (_CHECKS, repr(policy), *fields, record.depends, record.provides, record.install_if)
    return hashlib.sha256(canonical_json.encode(compared)).hexdigest()


def _lookup(record: IndexRecord, access: Access) -> _Kept | None:
    stored = access.store.get(_TABLE, record.identity.hex())
    if stored is None:
        return None
    digest, size, compared = json.loads(stored)
    if size != record.size:
        return None  # the same package with another signature, from another repository
    kept = _Kept(Digest.parse(digest), size, compared)
    return kept if access.store.holds(kept.digest, size) else None


def _remember(record: IndexRecord, kept: _Kept, access: Access) -> None:
    access.store.put(_TABLE, record.identity.hex(), canonical_json.encode([str(kept.digest), kept.size, kept.record]))


def _download_from(location: str, record: IndexRecord, access: Access) -> Digest:
    with access.store.writer() as writer:

        def take(chunk: bytes) -> None:
            writer.write(chunk)
            access.reporter.advance(TASK, len(chunk))

        try:
            fetched = access.transfer.fetch(access.locate(location), take, limit=record.size)
        except FormatError as fault:
            if fault.reason != "response-too-large":
                raise
            raise _wrong_size(location, "more", record) from fault
        if fetched.size != record.size:
            raise _wrong_size(location, str(fetched.size), record)
        return writer.commit()


def _wrong_size(location: str, found: str, record: IndexRecord) -> VerificationError:
    return VerificationError(
        f"the package has {found} bytes, the index promised {record.size}",
        reason="size-mismatch",
        origin=Origin(source=redact_url(location)),
    )


def _sha256_of(stream: BinaryIO) -> bytes:
    state = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        state.update(chunk)
    return state.digest()
