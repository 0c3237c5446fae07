"""Which packages a request needs, and which alternative each dependency takes (spec debian.md §5.1, §5.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from apkiln.core.errors import ApkilnError, FaultCollector, InputError, UnsatisfiableError
from apkiln.core.origin import Origin
from apkiln.debian.binaries import BinaryPackage
from apkiln.debian.snapshot import Snapshot
from apkiln.formats.deb.relations import Group, Relation, group_text

MAXIMUM_PACKAGES = 20_000
"""Packages of one closure."""

Drop = Callable[[BinaryPackage, str], bool]
"""(package, name it would depend on) → whether that dependency is left out."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How one dependency group was met."""

    package: str
    group: str
    """Canonical text of the group."""
    relation: Relation
    """The alternative taken."""
    provider: str
    """Name of the package that satisfies it."""
    reason: str
    """`only` (one alternative), `first` (of several), `only-existing` (earlier ones do not exist or fit), `override`."""


@dataclass(frozen=True, slots=True)
class Closure:
    """A set of packages that satisfies itself, apart from the dependencies left out on purpose."""

    packages: tuple[BinaryPackage, ...]
    """By name."""
    choices: tuple[Choice, ...]
    """Of every package, in order of package name, then source order."""
    dropped: tuple[Choice, ...]
    """Choices that were left out."""

    def names(self) -> frozenset[str]:
        return frozenset(package.name for package in self.packages)


Preferred = Mapping[tuple[str, str], str]
"""(package, canonical text of a group) → canonical text of the alternative that an override takes."""


def resolve_closure(
    snapshot: Snapshot, names: Iterable[str], drop: Drop | None = None, preferred: Preferred | None = None
) -> Closure:
    """The closure of `names`: of every group the first alternative that the snapshot can satisfy, as apt chooses.

    A choice depends on the snapshot alone, never on what else is in the closure, so a package is converted alike whoever
    asks for it.  Raises UnsatisfiableError (`missing-package`, `missing-dependency`, `missing-alternative`) and InputError
    (`foreign-arch`); all faults together.
    """
    faults = FaultCollector.empty()
    found: dict[str, BinaryPackage] = {}
    kept: dict[str, list[Choice]] = {}
    dropped: dict[str, list[Choice]] = {}
    queue = deque(_roots(snapshot, names, faults))
    while queue:
        package = queue.popleft()
        if package.name in found:
            continue
        if len(found) == MAXIMUM_PACKAGES:
            raise InputError(f"more than {MAXIMUM_PACKAGES} packages", reason="limit-closure-packages")
        found[package.name] = package
        for choice, provider in _choices(snapshot, package, preferred or {}, faults):
            leave_out = drop is not None and drop(package, choice.provider)
            (dropped if leave_out else kept).setdefault(package.name, []).append(choice)
            if not leave_out:
                queue.append(provider)
    faults.raise_if_any()
    order = sorted(found)
    return Closure(
        tuple(found[name] for name in order),
        tuple(choice for name in order for choice in kept.get(name, ())),
        tuple(choice for name in order for choice in dropped.get(name, ())),
    )


def _roots(snapshot: Snapshot, names: Iterable[str], faults: FaultCollector) -> list[BinaryPackage]:
    roots: list[BinaryPackage] = []
    for name in names:
        package = snapshot.satisfying(Relation(name))
        if package is None:
            message = f"the suite has no package `{name}`"
            faults.add(UnsatisfiableError(message, reason="missing-package", origin=Origin(package=name)))
        else:
            roots.append(package)
    return roots


def _choices(
    snapshot: Snapshot, package: BinaryPackage, preferred: Preferred, faults: FaultCollector
) -> list[tuple[Choice, BinaryPackage]]:
    chosen: list[tuple[Choice, BinaryPackage]] = []
    for group in package.depends:
        try:
            chosen.append(choose(snapshot, package, group, preferred.get((package.name, group_text(group)), "")))
        except ApkilnError as fault:
            faults.add(fault)
    return chosen


def choose(snapshot: Snapshot, package: BinaryPackage, group: Group, preferred: str = "") -> tuple[Choice, BinaryPackage]:
    """The first alternative of a group that the snapshot satisfies, or the `preferred` one.  Raises as `resolve_closure`."""
    origin = Origin(package=f"{package.name} {package.version}")
    if preferred:
        group_of_one = tuple(relation for relation in group if str(relation) == preferred)
        provider = snapshot.satisfying(group_of_one[0]) if group_of_one else None
        if provider is None:
            message = f"the override takes `{preferred}` for `{group_text(group)}`, which does not offer it"
            raise UnsatisfiableError(message, reason="missing-alternative", origin=origin)
        return Choice(package.name, group_text(group), group_of_one[0], provider.name, "override"), provider
    for position, relation in enumerate(group):
        _check_qualifier(relation, snapshot.architecture, origin)
        # A package that provides what it depends on satisfies itself.
        provider = snapshot.satisfying(relation)
        if provider is not None:
            reason = "only" if len(group) == 1 else "first" if position == 0 else "only-existing"
            return Choice(package.name, group_text(group), relation, provider.name, reason), provider
    raise UnsatisfiableError(
        f"`{group_text(group)}` is not in the suite",
        reason="missing-dependency" if len(group) == 1 else "missing-alternative",
        origin=origin,
    )


def _check_qualifier(relation: Relation, architecture: str, origin: Origin) -> None:
    if relation.qualifier not in ("", "any", "native", architecture):
        raise InputError(f"`{relation}` asks for another architecture", reason="foreign-arch", origin=origin)
