"""Freshness: an index against the signed `generation.json` of its repository (spec repository.md §4.4, supply-chain.md §9).

A repository declares generations by having the document.  Once one was seen it must be there, may not go back, and every
index must be the one it names: an old (freeze, rollback), a mixed or a withheld index is refused.  Plain apk repositories
have no document; that is asked once for each index.

What was seen of repositories on this machine is not kept: who can change them can change the cache.

Table in the store: `generations` (address of the repository → what was seen last, or the index that came without one).
"""

from __future__ import annotations

import hashlib
import json
import threading

from apkiln.core import canonical_json
from apkiln.core.errors import ApkilnError, FormatError, UnavailableError, VerificationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.core.secret import redact_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from apkiln.acquire.access import Access
    from apkiln.acquire.repositories import Repository
    from apkiln.formats.apk.generation import GenerationDocument
    from apkiln.formats.apk.keys import Keyring

FILE = "generation.json"
_TABLE = "generations"
_ABSENT = {"not-found", "missing-file", "not-a-directory", "unauthorized", "http-status", "no-permission"}
_LARGEST = 16 << 20


class Seen(NamedTuple):
    """The newest generation of a repository that was believed."""

    repository: str
    generation: int
    created: int
    expires: int
    indexes: tuple[tuple[str, str], ...]
    document: str
    """Hex SHA-256 of the document."""
    sums: str = ""
    """Hex SHA-256 of the list of package files; "" in what earlier versions kept."""

    def index_of(self, arch: str) -> str:
        """Hex SHA-256 of an index; "" when the generation has none."""
        return dict(self.indexes).get(arch, "")


class Pins:
    """What one run began with: all architectures of a repository come from one generation."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._sums: dict[str, Mapping[bytes, bytes]] = {}
        self._lock = threading.Lock()
        self._listing = threading.Lock()

    def get(self, url: str) -> Seen | None:
        with self._lock:
            return self._seen.get(url)

    def put(self, url: str, seen: Seen) -> None:
        with self._lock:
            self._seen.setdefault(url, seen)

    def sums(self, url: str, fetch: Callable[[], Mapping[bytes, bytes]]) -> Mapping[bytes, bytes]:
        """What `fetch` gives, which is called once for each repository."""
        with self._listing:
            if url not in self._sums:
                self._sums[url] = fetch()
            return self._sums[url]


def declared(repository: Repository, arch: str, index: str, keyring: Keyring, access: Access) -> Seen | None:
    """The generation that an index must belong to; None where the repository has none.  `index`: hex SHA-256 of what came.

    VerificationError `generation-missing`, `generation-rollback`, `generation-forked`, `generation-repository`,
    `generation-expired` and those of `signature.verify`; FormatError `generation-format`; UnavailableError of the transfer.
    """
    pinned = access.pins.get(repository.url) if access.pins is not None else None
    if pinned is not None:
        return pinned
    before = None if repository.is_local else _before(repository, access)
    if isinstance(before, dict) and before.get(arch) == index:
        return None
    known = before if isinstance(before, Seen) else None
    if access.offline and not repository.is_local:
        return known
    try:
        seen = _asked(repository, known, keyring, access)
    except ApkilnError as fault:
        raise fault.located(Origin(source=redact_url(repository.generation_location(FILE)))) from fault.__cause__
    if seen is None:
        if not repository.is_local:
            absent = before if isinstance(before, dict) else {}
            access.store.put(_TABLE, _row(repository), canonical_json.encode({**absent, arch: index}, sort_keys=True))
        return None
    if not access.allow_expired and access.now >= seen.expires:
        raise _refused(
            repository,
            f"generation {seen.generation} has expired",
            "generation-expired",
            "the repository or a mirror gets no updates any more; `APKILN_ALLOW_EXPIRED=1` takes it as it is",
        )
    if seen != known and not repository.is_local:
        access.store.put(_TABLE, _row(repository), canonical_json.encode(list(seen)))
    if access.pins is not None:
        access.pins.put(repository.url, seen)
    return seen


def mixed(repository: Repository, arch: str, seen: Seen) -> VerificationError:
    """The index is none of the generation."""
    return _refused(
        repository,
        f"the index for {arch} is not the one of generation {seen.generation}",
        "generation-mixed",
        "a mirror may be between two generations: try again",
    )


def _asked(repository: Repository, known: Seen | None, keyring: Keyring, access: Access) -> Seen | None:
    document = _fetched(repository.generation_location(FILE), access, needed=known is not None)
    if document is None:
        if known is None:
            return None
        raise _refused(
            repository,
            f"it no longer has the document of its generation, and had one at generation {known.generation}",
            "generation-missing",
            "somebody may be withholding it; clean the cache if the repository really gave it up",
        )
    digest = hashlib.sha256(document).hexdigest()
    if known is not None and known.document == digest and known.sums:
        return known
    from apkiln.formats.apk.generation import read_generation

    signatures = _fetched(repository.generation_location(f"{FILE}.sig"), access, needed=True)
    if signatures is None:
        raise _refused(repository, "the document of its generation is not signed", "signature-missing", "")
    read = read_generation(document, signatures, keyring)
    if known is not None:
        _check_successor(repository, read, known)
    return Seen(read.repository, read.generation, read.created, read.expires, read.indexes, digest, read.sums)


def _check_successor(repository: Repository, read: GenerationDocument, known: Seen) -> None:
    if read.repository != known.repository:
        message = f"it answers for `{read.repository}`, and was `{known.repository}`"
        raise _refused(repository, message, "generation-repository", "clean the cache if it was moved on purpose")
    if (read.generation, read.created) < (known.generation, known.created):
        message = f"it shows generation {read.generation}, and {known.generation} was seen before"
        raise _refused(repository, message, "generation-rollback", "it or a mirror went back; clean the cache if that is meant")
    if read.generation == known.generation and read.indexes != known.indexes:
        message = f"generation {known.generation} was seen with other indexes"
        raise _refused(repository, message, "generation-forked", "two contents have one number: ask who runs it")


def _fetched(location: str, access: Access, *, needed: bool) -> bytes | None:
    """None when it is not there; a page of a host that answers everything counts as that unless a document is `needed`."""
    received = bytearray()
    try:
        answer = access.transfer.fetch(access.locate(location), received.extend, limit=_LARGEST)
    except UnavailableError as fault:
        if fault.reason in _ABSENT:
            return None
        raise
    except FormatError:
        if needed:
            raise
        return None
    is_page = answer.content_type in {"text/html", "application/xhtml+xml"}
    return None if is_page and not needed else bytes(received)


def _before(repository: Repository, access: Access) -> Seen | dict[str, str] | None:
    """What was seen last, or the indexes that came without a document."""
    stored = access.store.get(_TABLE, _row(repository))
    if stored is None:
        return None
    value: Any = json.loads(stored)
    if isinstance(value, dict):
        return value
    repository_name, generation, created, expires, indexes, document, *rest = value
    pairs = tuple((arch, digest) for arch, digest in indexes)
    return Seen(repository_name, generation, created, expires, pairs, document, *rest)


def _row(repository: Repository) -> str:
    return hashlib.sha256(repository.url.encode()).hexdigest()


def _refused(repository: Repository, message: str, reason: str, hint: str) -> VerificationError:
    return VerificationError(f"repository `{repository.url}`: {message}", reason=reason, hint=hint)
