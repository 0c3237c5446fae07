"""An independent check of a solution (spec apk.md §10.6.4): it shares no code with the ways solutions are found.

Works on records and texts only.  Quadratic where it may be: solutions are small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from apkiln.core.errors import FormatError
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependencies, provided
from apkiln.formats.apk.records import IndexRecord


class Violation(NamedTuple):
    """A rule the set of packages breaks."""

    rule: str
    """`world`, `depends`, `conflict`, `exclusive-name`, `arch`, `tag`, `bad-record`, `unneeded`, `install-if`."""
    package: str
    item: str


class _Package(NamedTuple):
    record: IndexRecord
    depends: tuple[Dependency, ...]
    install_if: tuple[Dependency, ...]
    names: tuple[tuple[str, str], ...]


def check(
    packages: Sequence[IndexRecord],
    world: Sequence[Dependency],
    accepted_architectures: Iterable[str],
    tags: Mapping[bytes, frozenset[str]],
    left_out: Iterable[IndexRecord] = (),
    others: Iterable[IndexRecord] = (),
) -> list[Violation]:
    """Every violation of a set of packages, in order of the rules above; empty = a valid solution.

    `tags`: by identity, the tags of the repositories a package is in; packages that any untagged repository (or the cache,
    or the installed database) has are absent from it.  `others`: records whose install_if must have been heeded;
    a list of `!` items alone asks for nothing.
    """
    chosen = [_read(record) for record in packages]
    violations = list(_world(chosen, world))
    for package in chosen:
        violations += _record(package, frozenset(accepted_architectures))
        violations += _items(package, chosen)
    violations += _names(chosen)
    violations += _tags(chosen, world, tags)
    violations += _needs(chosen, world)
    violations += _install_if(chosen, {record.identity for record in left_out}, others, tags)
    return violations


def _read(record: IndexRecord) -> _Package:
    names: list[tuple[str, str]] = [(record.name, record.version)]
    for item in record.provides.split():
        try:
            names.append(provided(item, lenient=True))
        except FormatError:
            break
    try:
        install_if = parse_dependencies(record.install_if, lenient=True)
    except FormatError:
        install_if = ()
    try:
        return _Package(record, parse_dependencies(record.depends, lenient=True), install_if, tuple(names))
    except FormatError:
        return _Package(record, (), install_if, tuple(names))


def _hit(package: _Package, item: Dependency) -> bool:
    return any(name == item.name and hits(item, version, package.record.identity) for name, version in package.names)


def _world(chosen: Sequence[_Package], world: Sequence[Dependency]) -> Iterable[Violation]:
    for item in world:
        if any(_hit(package, item) for package in chosen) == item.conflict:
            yield Violation("world", "", str(item))


def _record(package: _Package, accepted: frozenset[str]) -> Iterable[Violation]:
    record = package.record
    if record.arch not in accepted:
        yield Violation("arch", record.name_version, record.arch)
    try:
        parse_dependencies(record.depends, lenient=True)
    except FormatError:
        yield Violation("bad-record", record.name_version, record.depends)


def _items(package: _Package, chosen: Sequence[_Package]) -> Iterable[Violation]:
    for item in package.depends:
        if item.conflict:
            if any(other is not package and _hit(other, item) for other in chosen):
                yield Violation("conflict", package.record.name_version, str(item))
        elif not any(_hit(other, item) for other in chosen):
            yield Violation("depends", package.record.name_version, str(item))


def _names(chosen: Sequence[_Package]) -> Iterable[Violation]:
    owners: dict[str, list[tuple[_Package, str]]] = {}
    for package in chosen:
        for name, version in package.names:
            owners.setdefault(name, []).append((package, version))
    for name, entries in owners.items():
        if len(entries) > 1 and any(version for _, version in entries):
            yield Violation("exclusive-name", " ".join(package.record.name_version for package, _ in entries), name)


def _tags(chosen: Sequence[_Package], world: Sequence[Dependency], tags: Mapping[bytes, frozenset[str]]) -> Iterable[Violation]:
    if not tags:
        return
    allowed: dict[bytes, set[str]] = {package.record.identity: set() for package in chosen}
    for item in world:
        if item.tag and not item.conflict:
            for package in chosen:
                if _hit(package, item):
                    allowed[package.record.identity].add(item.tag)
    changed = True
    while changed:
        changed = False
        for package in chosen:
            granted = allowed[package.record.identity]
            for other in chosen:
                calls = any(not item.conflict and _hit(other, item) for item in package.depends)
                heeds = any(not item.conflict and _hit(package, item) for item in other.install_if)
                if (calls or heeds) and not granted <= allowed[other.record.identity]:
                    allowed[other.record.identity] |= granted
                    changed = True
    for package in chosen:
        needed = tags.get(package.record.identity)
        if needed is not None and not needed & allowed[package.record.identity]:
            yield Violation("tag", package.record.name_version, " ".join(sorted(needed)))


def _needs(chosen: Sequence[_Package], world: Sequence[Dependency]) -> Iterable[Violation]:
    """Every package is called for by an item it may be picked for by itself, or by its install_if."""
    for package in chosen:
        called = [item for item in world if not item.conflict]
        called += [item for other in chosen for item in other.depends if not item.conflict]
        if any(_picks(package, item) for item in called):
            continue
        if package.install_if and _met(package, chosen):
            continue
        yield Violation("unneeded", package.record.name_version, "")


def _picks(package: _Package, item: Dependency) -> bool:
    record = package.record
    return any(
        name == item.name
        and hits(item, version, record.identity)
        and (name == record.name or bool(version) or record.provider_priority != 0)
        for name, version in package.names
    )


def _met(package: _Package, chosen: Sequence[_Package]) -> bool:
    return all(any(_hit(other, item) for other in chosen) != item.conflict for item in package.install_if)


def _install_if(
    chosen: Sequence[_Package], left_out: set[bytes], others: Iterable[IndexRecord], tags: Mapping[bytes, frozenset[str]]
) -> Iterable[Violation]:
    names = {package.record.name for package in chosen}
    for record in others:
        if record.name in names or record.identity in left_out or record.identity in tags:
            continue
        package = _read(record)
        if any(not item.conflict for item in package.install_if) and _met(package, chosen):
            yield Violation("install-if", record.name_version, record.install_if)
