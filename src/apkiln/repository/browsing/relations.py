"""Dependencies of one package both ways, among the current packages of one architecture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from apkiln.core.errors import FormatError
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependency, provided
from apkiln.formats.apk.records import IndexRecord
from apkiln.repository.ledger.packages import Key, Package, record_of
from apkiln.repository.listing import Listing
from apkiln.solver.source import mentioned_name, provided_names


class Need(NamedTuple):
    """One item that a package depends on."""

    item: str
    conflict: bool
    """`!name`: must not be installed beside it."""
    answers: tuple[Key, ...]
    """Current packages that answer it, in index order; empty for a need that nothing meets."""


class Dependent(NamedTuple):
    """One package that depends on another."""

    key: Key
    item: str
    """The first of its items that the other one answers."""


def needs(listing: Listing, package: Package) -> tuple[Need, ...]:
    """What a package depends on, in its own order."""
    return tuple(_need(listing, item) for item in package.depends)


def _need(listing: Listing, item: str) -> Need:
    parsed = _parsed(item)
    if parsed is None:
        return Need(item, False, ())
    numbers = [number for number in listing.providers(parsed.name) if _meets(listing.record(number), parsed)]
    return Need(item, parsed.conflict, tuple(listing.package(number).key for number in numbers))


def dependents(listing: Listing, package: Package) -> tuple[Dependent, ...]:
    """Current packages with a dependency that this one answers (others may, too), by name.

    Cost: every package that mentions a name of this one is looked at; each different item is parsed once.
    """
    record = record_of(package)

    @cache
    def is_met(item: str) -> bool:
        parsed = _parsed(item)
        return parsed is not None and not parsed.conflict and _meets(record, parsed)

    names = set(provided_names(record))
    numbers = dict.fromkeys(number for name in names for number in listing.requirers(name))
    found = []
    for number in numbers:
        asker = listing.package(number)
        item = next((item for item in asker.depends if mentioned_name(item) in names and is_met(item)), "")
        if item and asker.key != package.key:
            found.append(Dependent(asker.key, item))
    return tuple(sorted(found))


def suggested(listing: Listing, package: Package) -> tuple[Key, ...]:
    """Current packages that are installed by themselves when this one and others are (`install_if`), by name."""
    names = provided_names(record_of(package))
    numbers = dict.fromkeys(number for name in names for number in listing.reverse_install_if(name))
    return tuple(sorted(listing.package(number).key for number in numbers))


def _parsed(item: str) -> Dependency | None:
    try:
        return parse_dependency(item, lenient=True)
    except FormatError:
        return None


def _meets(record: IndexRecord, item: Dependency) -> bool:
    if record.name == item.name and hits(item, record.version, record.identity):
        return True
    own: Sequence[tuple[str, str]] = [provided(text) for text in record.provides.split()]
    return any(name == item.name and hits(item, version, record.identity) for name, version in own)
