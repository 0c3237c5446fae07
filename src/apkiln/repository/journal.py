"""One ledger, followed: the state, and the images of the current indexes that follow from it.

Whoever writes says what it wants of the newest state; who loses the race for a row is asked again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from apkiln.core.errors import UnavailableError
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.equipment import Equipment
from apkiln.repository.generations import IndexImage, arch_change, changed_image, full_image
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger import actions
from apkiln.repository.ledger.actions import AnyAction
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.folding import apply
from apkiln.repository.ledger.packages import Package
from apkiln.repository.ledger.rows import Author, Row, chained, decode, encode, verified
from apkiln.repository.ledger.state import RepositoryState
from apkiln.repository.listing import Listing
from apkiln.system.ledger_store import Claim, StoredRow

_RACES = 1000


class Prepared(NamedTuple):
    """A candidate's images, kept from its making until it is live."""

    document: str
    images: dict[str, IndexImage]
    listing: ListingChange


class Journal:
    """See the module.  Methods may be called from several threads."""

    def __init__(self, name: str, equipment: Equipment) -> None:
        self.name = name
        self.equipment = equipment
        self.state = RepositoryState(name)
        """Read it under `reading`, or live with a view that changes."""
        self.images: dict[str, IndexImage] = {}
        """By architecture, as the state had them when `catch_up` was called last; so are `listings`."""
        self.listings: dict[str, Listing] = {}
        self.prepared: Prepared | None = None
        self.lock = threading.RLock()
        self._behind: deque[tuple[ListingChange, str]] = deque()
        """What became live since then, and the document of it."""
        self._is_built = False
        self._neighbours: dict[str, RepositoryState] = {}

    def refresh(self) -> RepositoryState:
        """Take in what others wrote.  VerificationError `ledger-broken`, `ledger-impossible`: nothing is published then."""
        with self.lock:
            for item in self.equipment.ledgers.rows(self.name, self.state.head.number):
                self._take(decode(item.text))
            return self.state

    def _take(self, row: Row) -> None:
        verified((row,), self.name, self.state.head)
        change = apply(self.state, row)
        if self._is_built and isinstance(row.body, actions.Live):
            self._behind.append((change, row.body.document))

    def catch_up(self) -> None:
        """Bring images and listings to the state.  Only who promotes calls it, so they stand still while it judges."""
        with self.lock:
            if not self._is_built:
                for arch in self.architectures(()):
                    self._start(arch)
                self._is_built = True
            while self._behind:
                self._follow(*self._behind.popleft())

    def _follow(self, change: ListingChange, document: str) -> None:
        prepared = self.prepared
        known = prepared.images if prepared is not None and prepared.document == document else None
        codec = canonical_codec()
        for arch in self.architectures(()):
            part = arch_change(change, arch)
            if arch not in self.listings:
                self._start(arch)
                continue
            self.listings[arch].change(part)
            self.images[arch] = known[arch] if known else changed_image(self.images[arch], part, codec)

    def _start(self, arch: str) -> None:
        packages = [package for package in self.state.listing() if package.arch in (arch, NOARCH)]
        self.listings[arch] = Listing(packages)
        self.images[arch] = full_image(packages, canonical_codec())

    def architectures(self, packages: Iterable[Package]) -> tuple[str, ...]:
        own = {package.arch for package in packages} | self.state.homes
        return tuple(sorted((own | set(self.state.arches)) - {NOARCH}))

    def append(
        self,
        author: Author,
        decide: Callable[[RepositoryState], Sequence[AnyAction]],
        claims: Callable[[RepositoryState], Sequence[Claim]] = lambda _: (),
    ) -> tuple[Row, ...]:
        """Write what `decide` says of the newest state; nothing when it says nothing.

        `decide` is asked again whenever somebody else was quicker, so it must look at nothing but the state.
        """
        with self.lock:
            for _ in range(_RACES):
                self.refresh()
                wanted = decide(self.state)
                if not wanted:
                    return ()
                now = int(self.equipment.clock.now() * 1000)
                rows = chained(self.name, self.state.head, now, author, wanted)
                if self.equipment.ledgers.append(self.name, [_stored(row) for row in rows], claims(self.state)):
                    for row in rows:
                        self._take(row)
                    return rows
        raise UnavailableError("others write to the ledger all the time", reason="database-busy", retriable=True)

    def neighbours(self) -> tuple[RepositoryState, ...]:
        """The newest states of all other ledgers in the same database: their blobs lie in the same store."""
        ledgers = self.equipment.ledgers
        with self.lock:
            for name in ledgers.repositories():
                if name == self.name:
                    continue
                state = self._neighbours.setdefault(name, RepositoryState(name))
                for item in ledgers.rows(name, state.head.number):
                    row = decode(item.text)
                    verified((row,), name, state.head)
                    apply(state, row)
            return tuple(self._neighbours.values())

    @contextmanager
    def reading(self) -> Iterator[RepositoryState]:
        """The state, which nobody changes meanwhile."""
        with self.lock:
            yield self.state


def _stored(row: Row) -> StoredRow:
    kind = type(row.body).__name__.lower()
    return StoredRow(row.number, row.at, row.actor, kind, row.previous, row.hash, encode(row))
