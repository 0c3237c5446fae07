"""Indexes: fetched once per run, verified before anything in them is believed, remembered with the verdict.

Table in the store: `index-locations` (address → validators, digest and size of the last fetch); see also
`acquire.verified_indexes`.  A warm run parses no index and loads no cryptographic library.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from apkiln.acquire.access import Access
from apkiln.acquire.keyring import fingerprint
from apkiln.acquire.repositories import Layout, Repository, Trust
from apkiln.acquire.verified_indexes import IndexRemark, Judge, verified_index
from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FormatError, UnavailableError
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.core.value import replace, value
from apkiln.formats.apk.index_table import IndexTable
from apkiln.formats.apk.keys import Keyring
from apkiln.system.parallel import map_in_threads
from apkiln.system.store import damaged
from apkiln.system.transfer import Validators

_LOCATIONS = "index-locations"
_ABSENT = {"not-found", "missing-file", "not-a-directory"}


@value
class LoadedIndex:
    """One index that may be used."""

    repository: Repository
    arch: str
    """apk name."""
    digest: Digest
    """SHA-256 of the file as fetched."""
    records: IndexTable
    """In the order of the index, without those that must not be chosen."""
    signed_by: str
    """File name of the key whose signature is good; empty only where the repository or the run allows that."""
    weak: bool = False
    """The signature rests on SHA-1."""
    warnings: tuple[IndexRemark, ...] = ()
    """What the reader lived with."""


class _Place(NamedTuple):
    """One index to get: several repository lines may name it."""

    repository: Repository
    arch: str

    @property
    def key(self) -> tuple[str, Trust]:
        return self.repository.index_location(self.arch), self.repository.trust

    @property
    def shown(self) -> str:
        return self.repository.index_url(self.arch)


class _Content(NamedTuple):
    """An index file, or where the store has it."""

    digest: Digest
    size: int
    data: bytes | None


def load_indexes(
    repositories: Sequence[Repository],
    arch: str,
    keyring: Keyring,
    access: Access,
    *,
    ignore_signatures: bool = False,
) -> tuple[LoadedIndex, ...]:
    """The index of `arch` of every repository, in the order given; an address named twice is fetched once.

    Remote indexes are revalidated (ETag, Last-Modified); offline the last one recorded is used.  The signature is checked
    against `keyring` unless the repository allows otherwise or `ignore_signatures`; nothing is parsed before that.
    Raises VerificationError (those of `signature.signer_of`, `cache-entry-damaged`), FormatError (of the index formats,
    `html-instead-of-index`), UnavailableError (`index-missing`, those of `Transfer.fetch`, `offline` listing every
    missing index).  Each error's origin is the address of the index.
    """
    places = {_Place(repository, arch).key: _Place(repository, arch) for repository in reversed(repositories)}
    if access.offline:
        _refuse_missing(places.values(), access)
    judge = Judge(keyring, fingerprint(keyring))

    def load(place: _Place) -> LoadedIndex:
        try:
            content = _content(place, access)
            data = content.data if content.data is not None else _stored_bytes(content.digest, access)
            verdict = verified_index(data, content.digest, judge, _trust(place.repository, ignore_signatures), access)
            return LoadedIndex(
                place.repository, arch, content.digest, verdict.table, verdict.signed_by, verdict.weak, verdict.warnings
            )
        except ApkilnError as fault:
            fault.located(Origin(source=place.shown))
            raise

    loaded = dict(zip(places, map_in_threads(load, places.values(), access.jobs), strict=True))
    return tuple(replace(loaded[_Place(repository, arch).key], repository=repository) for repository in repositories)


def _trust(repository: Repository, ignore_signatures: bool) -> Trust:
    return replace(repository.trust, allow_unsigned=True) if ignore_signatures else repository.trust


def _content(place: _Place, access: Access) -> _Content:
    location = place.repository.index_location(place.arch)
    if not place.repository.is_local:
        return _remembered(place, access) if access.offline else _fetched(place, access)
    received = bytearray()
    try:
        access.transfer.fetch(access.locate(location), received.extend, limit=access.limits.index_decompressed)
    except UnavailableError as fault:
        raise _absent(place, fault, access) from fault
    data = bytes(received)
    return _Content(_sha256(data), len(data), data)


def _fetched(place: _Place, access: Access) -> _Content:
    """Revalidate what the store has, or fetch."""
    location, store = place.repository.index_location(place.arch), access.store
    row = _row(place)
    known, before = _location(place, access)
    with store.writer() as writer:
        beginning = bytearray()

        def take(chunk: bytes) -> None:
            writer.write(chunk)
            if len(beginning) < 512:
                beginning.extend(chunk[:512])

        try:
            answer = access.transfer.fetch(location, take, limit=access.limits.index_decompressed, known=known)
        except UnavailableError as fault:
            raise _absent(place, fault, access) from fault
        if answer.unchanged and before is not None:
            return before
        _refuse_page(answer.content_type, bytes(beginning))
        digest = writer.commit()
    store.put(_LOCATIONS, row, canonical_json.encode([*answer.validators, str(digest), answer.size]))
    return _Content(digest, answer.size, None)


def _remembered(place: _Place, access: Access) -> _Content:
    _, content = _location(place, access)
    assert content is not None, "missing indexes were refused before"
    return content


def _location(place: _Place, access: Access) -> tuple[Validators, _Content | None]:
    """What the last fetch recorded; nothing when the store lost the content."""
    stored = access.store.get(_LOCATIONS, _row(place))
    if stored is None:
        return Validators(), None
    etag, last_modified, text, size = json.loads(stored)
    digest = Digest.parse(text)
    if not access.store.holds(digest, size):
        return Validators(), None
    return Validators(etag, last_modified), _Content(digest, size, None)


def _row(place: _Place) -> str:
    return hashlib.sha256(place.shown.encode()).hexdigest()


def _stored_bytes(digest: Digest, access: Access) -> bytes:
    stream = access.store.open(digest)
    data = b""
    if stream is not None:
        with stream:
            data = stream.read()
    if stream is None or _sha256(data) != digest:
        raise damaged(access.store, digest, Origin(member="index"))
    return data


def _sha256(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).digest())


def _refuse_missing(places: Iterable[_Place], access: Access) -> None:
    remote = [place for place in places if not place.repository.is_local]
    missing = sorted(place.shown for place in remote if _location(place, access)[1] is None)
    if missing:
        raise UnavailableError(
            f"{len(missing)} index{'es are' if len(missing) > 1 else ' is'} not in the cache and the network is off",
            reason="offline",
            details=missing,
            hint="run once without `--offline`",
        )


def _refuse_page(content_type: str, beginning: bytes) -> None:
    if content_type in {"text/html", "application/xhtml+xml"} or beginning.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise FormatError(
            "the server answered with a web page instead of an index",
            reason="html-instead-of-index",
            hint="check the address of the repository, and whether it needs credentials",
        )


def _absent(place: _Place, fault: UnavailableError, access: Access) -> UnavailableError:
    """A missing index with what to do about it; other faults unchanged."""
    if fault.reason not in _ABSENT:
        return fault
    repository = place.repository
    message = f"repository `{repository.url}` has no index for {place.arch}"
    hint = f"check the address, and whether the repository has packages for {place.arch}"
    if repository.is_local and repository.layout is Layout.DIRECTORY:
        directory = PurePosixPath(access.locate(repository.location.reveal() or repository.url))
        if access.files.status(directory) is None:
            message, hint = f"there is no directory `{redact_url(repository.url)}`", "check the path"
        elif _has_packages(directory / place.arch, access):
            message += ", although there are packages"
            hint = f"write it with `apkiln repo index {repository.url}`"
    return UnavailableError(message, reason="index-missing", origin=Origin(source=place.shown), hint=hint)


def _has_packages(directory: PurePosixPath, access: Access) -> bool:
    status = access.files.status(directory)
    return status is not None and status.is_directory and any(name.endswith(".apk") for name in access.files.list(directory))
