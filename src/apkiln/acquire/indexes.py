"""Indexes: fetched once per run, verified before anything in them is believed, remembered with the verdict.

Table in the store: `index-locations` (address → validators, digest and size of the last fetch that was believed); see also
`acquire.verified_indexes` and `acquire.generations`.  A warm run parses no index and loads no cryptographic library.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from apkiln.acquire.access import Access
from apkiln.acquire.generations import Seen, declared, mixed
from apkiln.acquire.keyring import fingerprint
from apkiln.acquire.repositories import Layout, Repository, Trust
from apkiln.acquire.verified_indexes import IndexRemark, Judge, verified_index
from apkiln.core import canonical_json
from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, FormatError, UnavailableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.core.value import replace, value
from apkiln.formats.apk.index_table import IndexTable
from apkiln.formats.apk.keys import Keyring
from apkiln.system.parallel import map_in_threads
from apkiln.system.store import damaged
from apkiln.system.transfer import Fetched, Validators

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
    generation: int = 0
    """The one it belongs to; 0 where the repository has none."""


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


_NOTHING = _Content(Digest.sha256(bytes(32)), 0, None)


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
    Raises VerificationError (those of `signature.signer_of`, `cache-entry-damaged`, those of `generations.declared`,
    `generation-mixed`), FormatError (of the index formats,
    `html-instead-of-index`), UnavailableError (`index-missing`, those of `Transfer.fetch`, `offline` listing every
    missing index).  Each error's origin is the address of the index.
    """
    places = {_Place(repository, arch).key: _Place(repository, arch) for repository in reversed(repositories)}
    if access.offline:
        _refuse_missing(places.values(), access)
    judge = Judge(keyring, fingerprint(keyring))

    def load(place: _Place) -> LoadedIndex:
        try:
            content, generation = _content(place, keyring, ignore_signatures, access)
            data = content.data if content.data is not None else _stored_bytes(content.digest, access)
            verdict = verified_index(data, content.digest, judge, _trust(place.repository, ignore_signatures), access)
            return LoadedIndex(
                place.repository,
                arch,
                content.digest,
                verdict.table,
                verdict.signed_by,
                verdict.weak,
                verdict.warnings,
                generation,
            )
        except ApkilnError as fault:
            fault.located(Origin(source=place.shown))
            raise

    loaded = dict(zip(places, map_in_threads(load, places.values(), access.jobs), strict=True))
    return tuple(replace(loaded[_Place(repository, arch).key], repository=repository) for repository in repositories)


def _trust(repository: Repository, ignore_signatures: bool) -> Trust:
    return replace(repository.trust, allow_unsigned=True) if ignore_signatures else repository.trust


def _content(place: _Place, keyring: Keyring, ignore_signatures: bool, access: Access) -> tuple[_Content, int]:
    """The index, and the generation it belongs to (0 = none)."""
    candidate = _candidate(place, access)
    if place.repository.layout is Layout.INDEX or _trust(place.repository, ignore_signatures).allow_unsigned:
        seen = None  # nobody signs for it
    else:
        seen = declared(place.repository, place.arch, candidate.content.digest.hex, keyring, access)
    if seen is None or seen.index_of(place.arch) == candidate.content.digest.hex:
        if candidate.validators is not None:
            _record(place, candidate.content, candidate.validators, access)
        return candidate.content, seen.generation if seen is not None else 0
    frozen = None if access.offline else _frozen(place, seen, access)
    if frozen is None or frozen.digest.hex != seen.index_of(place.arch):
        raise mixed(place.repository, place.arch, seen)
    _record(place, frozen, Validators(), access)
    return frozen, seen.generation


class _Candidate(NamedTuple):
    """An index that came, and is not believed yet."""

    content: _Content
    validators: Validators | None
    """Of what is new, to be recorded once it is believed."""


def _candidate(place: _Place, access: Access) -> _Candidate:
    location = place.repository.index_location(place.arch)
    if not place.repository.is_local:
        return _Candidate(_remembered(place, access), None) if access.offline else _fetched(place, location, access)
    received = bytearray()
    try:
        access.transfer.fetch(access.locate(location), received.extend, limit=access.limits.index_decompressed)
    except UnavailableError as fault:
        raise _absent(place, fault, access) from fault
    data = bytes(received)
    return _Candidate(_Content(_sha256(data), len(data), data), None)


def _fetched(place: _Place, location: str, access: Access) -> _Candidate:
    """Revalidate what the store has, or fetch."""
    known, before = _location(place, access)
    try:
        answer, content = _stored(location, known, access)
    except UnavailableError as fault:
        raise _absent(place, fault, access) from fault
    if answer.unchanged and before is not None:
        return _Candidate(before, None)
    return _Candidate(content, answer.validators)


def _frozen(place: _Place, seen: Seen, access: Access) -> _Content | None:
    """The index of the generation by its number, for whom the pointer moved meanwhile; None where there is none."""
    location = place.repository.frozen_index_location(place.arch, seen.generation)
    try:
        return _stored(access.locate(location), Validators(), access)[1]
    except UnavailableError as fault:
        if fault.retriable:
            raise
        return None


def _stored(location: str, known: Validators, access: Access) -> tuple[Fetched, _Content]:
    """Fetch into the store; the content means nothing when the answer is `unchanged`."""
    beginning = bytearray()
    with access.store.writer() as writer:

        def take(chunk: bytes) -> None:
            writer.write(chunk)
            if len(beginning) < 512:
                beginning.extend(chunk[:512])

        answer = access.transfer.fetch(location, take, limit=access.limits.index_decompressed, known=known)
        if answer.unchanged:
            return answer, _NOTHING
        _refuse_page(answer.content_type, bytes(beginning))
        return answer, _Content(writer.commit(), answer.size, None)


def _record(place: _Place, content: _Content, validators: Validators, access: Access) -> None:
    if place.repository.is_local:
        return
    access.store.put(_LOCATIONS, _row(place), canonical_json.encode([*validators, str(content.digest), content.size]))


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
