"""The public path without HTTP: what the front answers, straight from state and blobs.

For commands that work on a repository while no server runs, and the twin of a server in tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from apkiln.core.digest import Digest
from apkiln.core.errors import UnavailableError
from apkiln.core.origin import Origin
from apkiln.repository.front import Answer, found
from apkiln.repository.ledger.state import RepositoryState
from apkiln.system.blob_store import BlobStore, pieces
from apkiln.system.transfer import NO_VALIDATORS, Fetched, Validators, Write, too_large

URL = "direct:"
"""Stands where the public URL would."""


class DirectPath:
    """See `Transfer`; locations are `direct:/REPOSITORY/PATH`."""

    def __init__(self, state: Callable[[], RepositoryState], blobs: BlobStore) -> None:
        self._state = state
        self._blobs = blobs

    def fetch(self, location: str, write: Write, *, limit: int, known: Validators = NO_VALIDATORS) -> Fetched:
        state = self._state()
        path = location.removeprefix(f"{URL}/{state.repository}/")
        answer = found(state, path, now=state.head.at // 1000)
        body = self._body(answer)
        if answer.status != 200 or body is None:
            raise UnavailableError(
                f"`{location}` is not there (status {answer.status})", reason="not-found", origin=Origin(source=location)
            )
        size = 0
        for chunk in body:
            size += len(chunk)
            if size > limit:
                raise too_large(location, limit)
            write(chunk)
        return Fetched(False, size)

    def _body(self, answer: Answer) -> Iterator[bytes] | None:
        if not answer.blob:
            return pieces(answer.body)
        return self._blobs.read(Digest.sha256(bytes.fromhex(answer.blob)))
