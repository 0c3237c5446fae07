"""One look at a page: the repository, what was asked, and what earlier looks left behind."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from apkiln.repository.browsing.inventory import Inventory
from apkiln.repository.expectations import LockedImage
from apkiln.repository.ledger.state import RepositoryState
from apkiln.repository.listing import Listing
from apkiln.repository.reconciling import Incident
from apkiln.repository.service import RepositoryService
from apkiln.web.pages.questions import Question

S = TypeVar("S", bound=Sized)


class Page(NamedTuple):
    """What a template gets."""

    template: str
    values: Mapping[str, object]
    status: int = 200


class Recent:
    """Results that cost something, the ones used last; shared by threads.  What a key names never changes."""

    def __init__(self, limit: int) -> None:
        """`limit`: items of all results together, as `len` counts them."""
        self._limit = limit
        self._size = 0
        self._known: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], S]) -> S:
        """The result of `make`, which another thread may have made."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                found: S = self._known[key]
                return found
        made = make()
        with self._lock:
            if key not in self._known:
                self._known[key] = made
                self._size += len(made) + 1
            while self._size > self._limit and len(self._known) > 1:
                self._size -= len(self._known.popitem(last=False)[1]) + 1
        return made


class Shelf:
    """What pages keep of one repository."""

    def __init__(self, service: RepositoryService) -> None:
        self.service = service
        self.inventory = Inventory()
        self.recent = Recent(1_000_000)
        """Lists by generation."""
        self.files = Recent(100_000)
        """Contents of packages."""
        self.images: tuple[LockedImage, ...] = ()
        """Locks of images that somebody watches over, as of the last comparison."""

    @contextmanager
    def reading(self) -> Iterator[RepositoryState]:
        """The state and an inventory that has taken it in; nobody changes either meanwhile, so keep it short."""
        with self.service.reading() as state:
            self.inventory.follow(state)
            yield state


class Visit(NamedTuple):
    """See the module."""

    shelf: Shelf
    incidents: Sequence[Incident]
    """As of the last comparison."""
    question: Question

    @property
    def name(self) -> str:
        """Of the repository."""
        return self.shelf.service.name

    @property
    def inventory(self) -> Inventory:
        return self.shelf.inventory

    def listing(self, arch: str) -> Listing:
        """The current packages of an architecture; empty for one that there is not."""
        return self.inventory.listings.get(arch) or Listing()

    def at(self, key: Hashable, make: Callable[[], S]) -> S:
        """`make`, once for each generation."""
        return self.shelf.recent.get((self.inventory.generation, key), make)


def missing(what: str) -> Page:
    """A page that says that there is no such thing."""
    return Page("missing.html", {"what": what}, 404)
