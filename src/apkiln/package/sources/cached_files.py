"""Files of `fetch` steps in the source cache: found, fetched from the first place that has them, verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import BinaryIO

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, UnavailableError, VerificationError
from apkiln.core.limits import MIB
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url
from apkiln.package.sources.access import SourceAccess
from apkiln.package.sources.plan import FetchSource, Material

REJECTED = "rejected"
"""Directory in the cache for files that were not what they should be."""
_CHUNK = MIB


def cached_file(source: FetchSource, access: SourceAccess) -> Material:
    """The file, in the cache under its digest; what is there already is read and compared, not fetched."""
    place = access.cache / source.cache_name
    kept = _kept(source, place, access) if source.digests else None
    if kept is not None:
        return kept
    faults: list[ApkilnError] = []
    for fetch in _ways(source, access):
        try:
            found = _received(source, place, fetch, access)
        except (UnavailableError, VerificationError) as error:
            faults.append(error)
        else:
            if found is not None:
                return found
    raise _all_failed(source, faults)


def _kept(source: FetchSource, place: PurePath, access: SourceAccess) -> Material | None:
    """The file that is there, when it is what its name says; a damaged one is removed."""
    status = access.files.status(place)
    if status is None or not status.is_file:
        return None
    with access.files.open(place) as stream:
        sums = _Sums(source.digests)
        for chunk in _chunks(stream):
            sums.update(chunk)
    if sums.wrong():
        access.reporter.note(f"`{place}` was damaged; it is fetched again")
        access.files.remove(place)
        return None
    return Material(source, source.cache_name, sums.sha256(), sums.size, "cache")


def _ways(source: FetchSource, access: SourceAccess) -> Iterator[Callable[[Callable[[bytes], object]], str]]:
    """Functions that deliver the file and say from where, in the order they are tried."""
    *others, last = access.places.places(source.uri, source.digests) or ("",)
    original = last == source.uri
    for location in others if original else [*others, last]:
        yield _from(location, access)
    for finder in access.finders if source.digests else ():
        yield lambda write, finder=finder: finder.find(source.digests, write)  # type: ignore[misc]
    if original:
        yield _from(last, access)


def _from(location: str, access: SourceAccess) -> Callable[[Callable[[bytes], object]], str]:
    def fetch(write: Callable[[bytes], object]) -> str:
        if not location:
            return ""
        access.transfer.fetch(location, write, limit=access.maximum_file)
        return redact_url(location)

    return fetch


def _received(
    source: FetchSource, place: PurePath, fetch: Callable[[Callable[[bytes], object]], str], access: SourceAccess
) -> Material | None:
    """Fetch one file under its name; None when the place does not know it."""
    sums = _Sums(source.digests)
    try:
        with access.files.create(place, replace=True) as stream:

            def take(chunk: bytes) -> None:
                sums.update(chunk)
                stream.write(chunk)

            location = fetch(take)
            if not location:
                raise _NotKnown
            if wrong := sums.wrong():
                raise _mismatch(source, location, wrong, _reject(stream, source, access))
    except _NotKnown:
        return None
    return Material(source, source.cache_name, sums.sha256(), sums.size, location)


class _NotKnown(Exception):
    """A place does not have the file: what was begun vanishes."""


def _reject(stream: BinaryIO, source: FetchSource, access: SourceAccess) -> PurePath:
    """Keep a file that is not what it should be, for a look at it."""
    directory = access.cache / REJECTED
    access.files.make_directory(directory)
    kept = directory / f"{source.digests[0].hex[:16]}-{source.file_name[:100]}"
    stream.seek(0)
    with access.files.create(kept, replace=True) as out:
        for chunk in _chunks(stream):
            out.write(chunk)
    return kept


def _mismatch(source: FetchSource, location: str, wrong: tuple[Digest, Digest], kept: PurePath) -> VerificationError:
    expected, found = wrong
    return VerificationError(
        f"`{location}` has {found.algorithm} {found.hex}, expected {expected.hex}",
        reason="source-digest-mismatch",
        origin=Origin(source.origin.source, source.origin.line, source.origin.column, digest=str(expected)),
        hint=f"what came is kept as `{kept}`",
    )


def _all_failed(source: FetchSource, faults: list[ApkilnError]) -> ApkilnError:
    """The error of the last place tried, with what the others said; a wrong file says more than an unreachable host."""
    if not faults:
        message = f"no place is known for `{source.uri}`"
        return UnavailableError(message, reason="source-unavailable", hint="the source map says `only`; add an entry there")
    chosen = next((fault for fault in faults if isinstance(fault, VerificationError)), faults[-1])
    chosen.details = (*chosen.details, *(str(fault) for fault in faults if fault is not chosen))
    return chosen


class _Sums:
    """Digests of bytes passing by."""

    def __init__(self, expected: tuple[Digest, ...]) -> None:
        self.expected = expected
        self.states = {name: hashlib.new(name) for name in {"sha256", *(digest.algorithm for digest in expected)}}
        self.size = 0

    def update(self, chunk: bytes) -> None:
        self.size += len(chunk)
        for state in self.states.values():
            state.update(chunk)

    def wrong(self) -> tuple[Digest, Digest] | None:
        """(expected, found) of the first digest that does not fit; all are compared."""
        for digest in self.expected:
            found = Digest(digest.algorithm, self.states[digest.algorithm].digest())
            if found != digest:
                return digest, found
        return None

    def sha256(self) -> Digest:
        return Digest.sha256(self.states["sha256"].digest())


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
