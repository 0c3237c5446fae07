"""What pages need of a repository and its state does not have ready: names in order, search, and which packages came and
went with each generation.

Built once from a state, then it follows it: the cost of `follow` is what the new generations changed (a rollback: a look at
every accepted package).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from apkiln.formats.apk.version import sort_key
from apkiln.repository.browsing.names import SearchTable, SortedNames
from apkiln.repository.layout import NOARCH
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Key
from apkiln.repository.ledger.state import Accepted, RepositoryState, Status
from apkiln.repository.listing import Listing


class Turnover(NamedTuple):
    """What one generation lists that the one before did not, and the reverse, each sorted by name."""

    added: tuple[Key, ...] = ()
    removed: tuple[Key, ...] = ()


class Inventory:
    """See the module.  Attributes are for reading.  Not for several threads at once."""

    def __init__(self) -> None:
        self.generation = 0
        """The one it knows; 0 = none yet."""
        self.keys: dict[str, tuple[Key, ...]] = {}
        """Name → everything that was ever accepted under it, newest version first."""
        self.names = SortedNames()
        """Names that some current index lists."""
        self.names_of: dict[str, SortedNames] = {}
        """Architecture → names that its index lists, those of `noarch` packages included."""
        self.listings: dict[str, Listing] = {}
        """Architecture → its current packages, found by what they provide and need."""
        self.withdrawn: set[Key] = set()
        self.turnover: dict[int, Turnover] = {}
        self.search = SearchTable()

    def follow(self, state: RepositoryState) -> bool:
        """Take in what the state has since; whether that was anything."""
        if state.current == self.generation:
            return False
        if self.generation == 0:
            self._build(state)
        else:
            self._advance(state)
        self.generation = state.current
        return True

    # ------------------------------------------------------------------ from nothing

    def _build(self, state: RepositoryState) -> None:
        grouped: dict[str, list[Key]] = {}
        for key in state.accepted:
            grouped.setdefault(key.name, []).append(key)
        self.keys = {name: newest_first(keys) for name, keys in grouped.items()}
        self._count(state, self.keys, 0)
        self.names = SortedNames(name for _, name in state.names)
        for arch in _architectures(state):
            self._start(state, arch)
        self.withdrawn = {key for key, accepted in state.accepted.items() if accepted.status is Status.WITHDRAWN}
        rows = ((name, _text(state, keys)) for name, keys in self.keys.items())
        self.search = SearchTable(rows)

    def _start(self, state: RepositoryState, arch: str) -> None:
        packages = [package for package in state.listing() if package.arch in (arch, NOARCH)]
        self.listings[arch] = Listing(packages)
        self.names_of[arch] = SortedNames(package.name for package in packages)

    def _count(self, state: RepositoryState, names: Iterable[str], after: int) -> None:
        """The turnover of all generations after one, which nothing but these names can have changed."""
        added: dict[int, list[Key]] = {}
        removed: dict[int, list[Key]] = {}
        for name in sorted(names):
            for key in self.keys[name]:
                for first, end in state.accepted[key].listed:
                    if first > after:
                        added.setdefault(first, []).append(key)
                    if end > after:
                        removed.setdefault(end, []).append(key)
        for number in range(after + 1, state.current + 1):
            self.turnover[number] = Turnover(tuple(added.get(number, ())), tuple(removed.get(number, ())))

    # ------------------------------------------------------------------ step by step

    def _advance(self, state: RepositoryState) -> None:
        touched: dict[str, set[Key]] = {}
        for key in _touched(state, self.generation):
            touched.setdefault(key.name, set()).add(key)
        for name, keys in touched.items():
            known = self.keys.get(name, ())
            if not keys <= set(known):
                self.keys[name] = newest_first({*known, *keys})
            self.withdrawn -= keys
            self.withdrawn |= {key for key in keys if state.accepted[key].status is Status.WITHDRAWN}
        self._count(state, touched, self.generation)
        changed = [self.turnover[number] for number in range(self.generation + 1, state.current + 1)]
        self._relist(state, {key for turnover in changed for key in (*turnover.added, *turnover.removed)})
        for name in touched:
            self.search.put(name, _text(state, self.keys[name]))

    def _relist(self, state: RepositoryState, keys: set[Key]) -> None:
        new = [arch for arch in _architectures(state) if arch not in self.listings]
        for arch, listing in self.listings.items():
            own = [key for key in sorted(keys) if key.arch in (arch, NOARCH)]
            known = {key for key in own if listing.number(key) is not None}
            listed = {key for key in own if _is_listed(state.accepted[key])}
            added = tuple(state.accepted[key].package for key in own if key in listed - known)
            removed = tuple(state.accepted[key].package for key in own if key in known - listed)
            listing.change(ListingChange(added, removed))
            for name in {key.name for key in own}:
                _keep(self.names_of[arch], name, any(state.listed(home, name) for home in (arch, NOARCH)))
        for arch in new:
            self._start(state, arch)
        for name in {key.name for key in keys}:
            _keep(self.names, name, any(state.listed(key.arch, name) for key in self.keys[name]))


def newest(state: RepositoryState, keys: Iterable[Key]) -> Accepted:
    """Of the packages of one name, newest first: the first that is listed, or the first of all."""
    found = [state.accepted[key] for key in keys]
    return next((accepted for accepted in found if _is_listed(accepted)), found[0])


def newest_first(keys: Iterable[Key]) -> tuple[Key, ...]:
    """By version, then by architecture."""
    return tuple(sorted(sorted(keys), key=lambda key: sort_key(key.version), reverse=True))


def _architectures(state: RepositoryState) -> tuple[str, ...]:
    current = state.generations[state.current].indexed.arches
    return tuple(sorted({index.arch for index in current} | set(state.arches)))


def _is_listed(accepted: Accepted) -> bool:
    return bool(accepted.listed) and accepted.listed[-1][1] == 0


def _keep(names: SortedNames, name: str, wanted: bool) -> None:
    if wanted:
        names.add(name)
    else:
        names.discard(name)


def _text(state: RepositoryState, keys: tuple[Key, ...]) -> str:
    package = newest(state, keys).package
    return " ".join((package.description, package.origin, *package.provides))


def _touched(state: RepositoryState, after: int) -> Iterator[Key]:
    """Every package that generations after one may have listed, dropped or accepted, or that stands beside such a one."""
    for number in range(after + 1, state.current + 1):
        for transaction in map(state.transactions.__getitem__, state.generations[number].indexed.transactions):
            if transaction.manifest.rollback:
                yield from (key for key, accepted in state.accepted.items() if _moved(accepted, after))
            yield from (package.key for package in transaction.packages)
            for selection in (*transaction.manifest.withdraw, *transaction.manifest.restore):
                yield from state.resolve(selection)


def _moved(accepted: Accepted, after: int) -> bool:
    return any(first > after or end > after for first, end in accepted.listed)
