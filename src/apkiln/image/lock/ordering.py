"""The install order of a set of packages that is settled already: never the order of rows in a file (spec image.md §4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from apkiln.core.arch import Arch
from apkiln.core.errors import UnsatisfiableError
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import Dependency, parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.request import SolverRepository, adding
from apkiln.solver.solution import Change, ChangeKind, SelectedPackage, Solution
from apkiln.solver.solving import solve


def ordered(
    arch: Arch, requests: Iterable[str], packages: Sequence[SelectedPackage], base: Sequence[IndexRecord] = ()
) -> Solution:
    """The solution that installs exactly `packages`, in the order in which the solver would, over those of a base image.

    The order of `packages` decides nothing.  Repository and tag of each stay what they are; tags in `requests` have no
    meaning here, as the packages are chosen already.  Raises UnsatisfiableError (`lock-unsatisfied`) when the packages do
    not satisfy the requests, each other's dependencies, or exclude each other.
    """
    by_identity = {item.record.identity: item for item in packages}
    records = sorted((item.record for item in by_identity.values()), key=lambda record: (record.name, record.version))
    kept = tuple(Dependency(record.name, "=", record.version) for record in base)
    world = (*(parse_dependency(text)._replace(tag="") for text in requests), *kept)
    repository = SolverRepository(tuple(records))
    found = _solve(arch, world, repository, base)
    chosen = {item.record.identity for item in found.packages}
    left = [record for record in records if record.identity not in chosen]
    if left:
        # Packages that no request leads to, as another solver may have added them.
        more = (Dependency(record.name, "=", record.version) for record in left)
        found = _solve(arch, (*world, *more), repository, base)
    order = [change.new.record.identity for change in found.changes if change.new is not None]
    missing = by_identity.keys() - set(order)
    if missing:
        names = sorted(by_identity[identity].record.name_version for identity in missing)
        raise _unsatisfied(arch, [f"{name} cannot be installed with the others" for name in names])
    installed = [by_identity[identity] for identity in order]
    changes = tuple(Change(ChangeKind.INSTALL, None, item) for item in installed)
    below = [item for item in found.packages if item.record.identity not in by_identity]
    return Solution(found.world, changes, tuple(sorted([*below, *installed], key=lambda item: item.record.name)))


def numbered(solution: Solution, numbers: Mapping[bytes, int]) -> Solution:
    """The solution in the order of `numbers` (by identity), which another solution of the same packages had among more
    candidates.  As it is where a package has no number, or two have the same: then the lock was mended by hand."""
    places = [numbers.get(change.new.record.identity, 0) if change.new is not None else 0 for change in solution.changes]
    if min(places, default=0) < 1 or len(set(places)) != len(places):
        return solution
    changes = tuple(change for _, change in sorted(zip(places, solution.changes, strict=True), key=lambda pair: pair[0]))
    return replace(solution, changes=changes)


def _solve(arch: Arch, world: tuple[Dependency, ...], repository: SolverRepository, base: Sequence[IndexRecord]) -> Solution:
    try:
        return solve([repository], adding(world, base), arch)
    except UnsatisfiableError as error:
        raise _unsatisfied(arch, [error.message, *error.details]) from error


def _unsatisfied(arch: Arch, details: Sequence[str]) -> UnsatisfiableError:
    return UnsatisfiableError(
        f"the packages of the lock for {arch.apk} are not what the definition asks for",
        reason="lock-unsatisfied",
        details=details,
        hint="make the lock again with `apkiln image lock`, or give the flags with which it was made",
    )
