"""Which dependencies nothing in a repository satisfies (spec apk.md §3 "publisher")."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from apkiln.core.errors import FormatError
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependency, provided
from apkiln.formats.apk.records import IndexRecord


class Unresolved(NamedTuple):
    """One dependency item without a provider."""

    arch: str
    package: str
    """`name-version` of the package that asks."""
    item: str
    """As the package writes it."""


def unresolved_dependencies(arch: str, asking: Iterable[IndexRecord], published: Iterable[IndexRecord]) -> tuple[Unresolved, ...]:
    """Items of `asking` that no record of `published` satisfies, sorted.

    Each item is looked at by itself; whether all can be met together is the solver's question.  A malformed item counts as
    unresolved, `!name` never.
    """
    providers = _providers(published)
    missing = {
        Unresolved(arch, record.name_version, item)
        for record in asking
        for item in record.depends.split()
        if not _is_met(item, providers)
    }
    return tuple(sorted(missing))


_Providers = dict[str, list[tuple[str, bytes]]]


def _providers(published: Iterable[IndexRecord]) -> _Providers:
    """Name → (version, identity) of everything that provides it."""
    found: _Providers = defaultdict(list)
    for record in published:
        found[record.name].append((record.version, record.identity))
        for item in record.provides.split():
            name, version = provided(item)
            found[name].append((version, record.identity))
    return found


def _is_met(item: str, providers: _Providers) -> bool:
    try:
        dependency: Dependency = parse_dependency(item, lenient=True)
    except FormatError:
        return False
    offers = providers.get(dependency.name, [])
    return dependency.conflict or any(hits(dependency, version, identity) for version, identity in offers)
