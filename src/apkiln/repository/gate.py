"""The gate: what may become current (spec repository.md §3.7 V4-V13, I7; the wish for generated dependencies).

Pure.  Every check is about the difference between what is current and what would be, so its cost follows the change:
- each new package can be installed from the candidate, by the solver;
- each listed package that loses a provider, or whose dependency loses one, can still be;
- no item is met by older builds of the package itself alone;
- given worlds (those of images, say) that have a solution now have one afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError, FormatError, UndecidedError, UnsatisfiableError
from apkiln.core.protocol import Protocol
from apkiln.formats.apk.dependency import Dependency, hits, parse_dependency, provided
from apkiln.formats.apk.index import record_faults
from apkiln.formats.apk.records import IndexRecord
from apkiln.repository.ledger.actions import Finding
from apkiln.repository.ledger.changes import ListingChange
from apkiln.repository.ledger.packages import Package, record_of
from apkiln.repository.listing import ChangedListing, Listing
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve
from apkiln.solver.source import PackageSource, mentioned_name, provided_names

CLOSURE = "closure"
"""A new package cannot be installed, or only with its older self."""
BREAKS = "breaks"
"""Something that could be installed no longer can."""


_EXACT = 200
"""Packages that are solved anew in one judgement; of more, those whose provider is replaced by another version of the same
package are left to the reconciler, which solves for everything."""


class World(NamedTuple):
    """A set of packages that somebody installs together, for example an image."""

    name: str
    items: tuple[str, ...]


class _Source(PackageSource, Protocol):
    def package(self, number: int) -> Package: ...

    def requirers(self, name: str) -> Sequence[int]: ...


def record_findings(packages: Iterable[Package]) -> tuple[Finding, ...]:
    """What keeps packages out of any index, whatever else is there."""
    return tuple(
        Finding("pkg-meta", fault.message, package.key.name_version, package.arch, (fault.reason,))
        for package in packages
        for fault in record_faults(record_of(package))
    )


def judge(current: Listing, change: ListingChange, arch: str, worlds: Sequence[World] = ()) -> tuple[Finding, ...]:
    """All findings for the index of one architecture, `closure` before `breaks`, each sorted by package.

    `change` is the part that concerns the architecture (`generations.arch_change`).
    """
    candidate = ChangedListing(current, change)
    solver = _Solver(candidate, arch)
    closure = [finding for package in change.added for finding in _admission(package, candidate, solver, arch)]
    lost = list(_broken(current, candidate, change, arch, solver))
    lost += _broken_worlds(current, candidate, arch, worlds) if change.removed or change.added else []
    return (*sorted(closure, key=_by_package), *sorted(lost, key=_by_package))


def _by_package(finding: Finding) -> tuple[str, str]:
    return finding.package, finding.message


def _admission(package: Package, candidate: _Source, solver: _Solver, arch: str) -> Iterator[Finding]:
    """A new package: every item has a provider that is not just its older self, and all can be met together."""
    missing = [item for item in package.depends if not _is_met(item, candidate)]
    for item in missing:
        yield Finding(CLOSURE, f"nothing provides `{item}`", package.key.name_version, arch, _almost(item, candidate))
    own = [item for item in package.depends if item not in missing and not _is_met(item, candidate, but_not_older=package)]
    for item in own:
        message = f"only an older build of `{package.origin}` itself provides `{item}`"
        yield Finding(CLOSURE, message, package.key.name_version, arch)
    if not missing and not own:
        obstacle = solver.obstacle(package)
        if obstacle is not None:
            yield Finding(CLOSURE, "it cannot be installed", package.key.name_version, arch, obstacle)


def _is_met(item: str, source: _Source, but_not_older: Package | None = None) -> bool:
    parsed = _parsed(item)
    if parsed is None:
        return False
    if parsed.conflict:
        return True
    for number in source.providers(parsed.name):
        package = source.package(number)
        own = but_not_older is not None and package.origin == but_not_older.origin and package.version != but_not_older.version
        if not own and _hit(source.record(number), parsed):
            return True
    return False


def _almost(item: str, source: _Source) -> tuple[str, ...]:
    """What does provide the name, in other versions."""
    parsed = _parsed(item)
    numbers = source.providers(parsed.name) if parsed is not None else ()
    return tuple(sorted(f"`{source.record(number).name_version}` does not fit" for number in numbers))[:5]


def _parsed(item: str) -> Dependency | None:
    try:
        return parse_dependency(item, lenient=True)
    except FormatError:
        return None


def _hit(record: IndexRecord, item: Dependency) -> bool:
    if record.name == item.name and hits(item, record.version, record.identity):
        return True
    for text in record.provides.split():
        name, version = provided(text)
        if name == item.name and hits(item, version, record.identity):
            return True
    return False


class _Solver:
    """Questions to the solver about one source, each asked once."""

    def __init__(self, source: PackageSource, arch: str) -> None:
        self._repositories = (SolverRepository(source),)
        self._arch = Arch.parse(arch)
        self._answers: dict[bytes, tuple[str, ...] | None] = {}

    def obstacle(self, package: Package) -> tuple[str, ...] | None:
        """Why a package cannot be installed, in words; None when it can."""
        identity = bytes.fromhex(package.identity)
        if identity not in self._answers:
            self._answers[identity] = self.world_obstacle((Dependency(package.name, "=", package.version),))
        return self._answers[identity]

    def world_obstacle(self, world: tuple[Dependency, ...]) -> tuple[str, ...] | None:
        try:
            solve(self._repositories, Request(world), self._arch)
        except (UnsatisfiableError, UndecidedError) as error:
            return (error.message, *error.details)
        return None


def _broken(current: Listing, candidate: ChangedListing, change: ListingChange, arch: str, solver: _Solver) -> Iterator[Finding]:
    """Listed packages that lost what they need, then those who need them, and so on."""
    before = _Solver(current, arch)
    gone = {package.key for package in change.removed}
    added = {package.key for package in change.added}
    queue = list(change.removed)
    seen = set(gone) | added
    solved = 0
    while queue:
        lost = queue.pop()
        for asker in _those_who_need(lost, candidate):
            if asker.key in seen or (solved > _EXACT and _has_successor(asker, lost, candidate)):
                continue
            solved += 1
            obstacle = solver.obstacle(asker)
            if obstacle is None:
                continue
            seen.add(asker.key)
            if before.obstacle(asker) is None:
                message = f"it can no longer be installed without `{lost.key.name_version}`"
                yield Finding(BREAKS, message, asker.key.name_version, arch, obstacle)
                queue.append(asker)


def _has_successor(asker: Package, lost: Package, source: _Source) -> bool:
    """Each item that `lost` answered is answered by another version of the same package."""
    record = record_of(lost)
    for item in map(_parsed, asker.depends):
        if item is None or item.conflict or not _hit(record, item):
            continue
        others = map(source.record, source.providers(item.name))
        if not any(other.name == lost.name and _hit(other, item) for other in others):
            return False
    return True


def _those_who_need(lost: Package, source: _Source) -> Iterator[Package]:
    """Packages with an item that `lost` answered."""
    record = record_of(lost)
    for name in dict.fromkeys(provided_names(record)):
        for number in source.requirers(name):
            package = source.package(number)
            items = [_parsed(item) for item in package.depends if mentioned_name(item) == name]
            if any(item is not None and not item.conflict and _hit(record, item) for item in items):
                yield package


def _broken_worlds(current: Listing, candidate: ChangedListing, arch: str, worlds: Sequence[World]) -> Iterator[Finding]:
    before, after = _Solver(current, arch), _Solver(candidate, arch)
    for world in worlds:
        try:
            items = tuple(parse_dependency(item) for item in world.items)
        except ApkilnError:
            continue  # it has no solution now either
        obstacle = after.world_obstacle(items)
        if obstacle is not None and before.world_obstacle(items) is None:
            yield Finding(BREAKS, f"`{world.name}` can no longer be installed", world.name, arch, obstacle)
