"""The current packages of one architecture, found by name, and what they would be after a change (the solver's source)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apkiln.formats.apk.records import IndexRecord
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Key, Package, record_of
from apkiln.solver.source import mentioned_name, provided_names


class Listing:
    """Packages with tables by name.  `change` costs what it changes; everything else is for reading.

    A package keeps its number for as long as it is listed.
    """

    def __init__(self, packages: Iterable[Package] = ()) -> None:
        self._packages: dict[int, Package] = {}
        self._records: dict[int, IndexRecord] = {}
        self._numbers: dict[Key, int] = {}
        self._providers: dict[str, tuple[int, ...]] = {}
        self._requirers: dict[str, tuple[int, ...]] = {}
        self._install_if: dict[str, tuple[int, ...]] = {}
        self._next = 0
        self.change(ListingChange(tuple(packages)))

    def __len__(self) -> int:
        return len(self._packages)

    def __iter__(self) -> Iterator[Package]:
        return iter(self._packages.values())

    def change(self, change: ListingChange) -> None:
        """Take packages out and in."""
        for package in change.removed:
            number = self._numbers.pop(package.key)
            for table, names in self._places(package):
                for name in names:
                    _drop(table, name, number)
            del self._packages[number]
            self._records.pop(number, None)
        for package in change.added:
            number = self._next
            self._next += 1
            self._packages[number], self._numbers[package.key] = package, number
            for table, names in self._places(package):
                for name in names:
                    table[name] = (*table.get(name, ()), number)

    def _places(self, package: Package) -> Sequence[tuple[dict[str, tuple[int, ...]], Iterable[str]]]:
        record = record_of(package)
        return (
            (self._providers, dict.fromkeys(provided_names(record))),
            (self._requirers, dict.fromkeys(map(mentioned_name, package.depends))),
            (self._install_if, dict.fromkeys(map(mentioned_name, package.install_if))),
        )

    def package(self, number: int) -> Package:
        return self._packages[number]

    def record(self, number: int) -> IndexRecord:
        """See `PackageSource`; made when it is asked for."""
        found = self._records.get(number)
        if found is None:
            found = self._records[number] = record_of(self._packages[number])
        return found

    def providers(self, name: str) -> Sequence[int]:
        return self._providers.get(name, ())

    def requirers(self, name: str) -> Sequence[int]:
        """Packages with a dependency on `name`."""
        return self._requirers.get(name, ())

    def reverse_install_if(self, name: str) -> Sequence[int]:
        return self._install_if.get(name, ())

    def number(self, key: Key) -> int | None:
        return self._numbers.get(key)


class ChangedListing:
    """A listing as it would be after a change; the listing itself is left alone.  Equal questions as `Listing`."""

    def __init__(self, base: Listing, change: ListingChange) -> None:
        self._base = base
        self._gone = {number for package in change.removed if (number := base.number(package.key)) is not None}
        self._added = Listing(change.added)

    def record(self, number: int) -> IndexRecord:
        return self._added.record(-1 - number) if number < 0 else self._base.record(number)

    def package(self, number: int) -> Package:
        return self._added.package(-1 - number) if number < 0 else self._base.package(number)

    def providers(self, name: str) -> Sequence[int]:
        return self._joined(self._base.providers(name), self._added.providers(name))

    def requirers(self, name: str) -> Sequence[int]:
        return self._joined(self._base.requirers(name), self._added.requirers(name))

    def reverse_install_if(self, name: str) -> Sequence[int]:
        return self._joined(self._base.reverse_install_if(name), self._added.reverse_install_if(name))

    def _joined(self, base: Sequence[int], added: Sequence[int]) -> Sequence[int]:
        kept = [number for number in base if number not in self._gone] if self._gone else list(base)
        return kept + [-1 - number for number in added]


def _drop(table: dict[str, tuple[int, ...]], name: str, number: int) -> None:
    rest = tuple(item for item in table[name] if item != number)
    if rest:
        table[name] = rest
    else:
        del table[name]
