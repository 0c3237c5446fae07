"""One set of versions for several architectures, decided before anything is built or locked (spec image.md §4.3).  Pure.

    solve each · where a shared name differs, allow only versions that all its users have · solve again

The packages of one origin are released together, so a limit speaks of the whole origin where that can be satisfied, else of
the name alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cmp_to_key

from apkiln.core.arch import Arch
from apkiln.core.errors import UndecidedError, UnsatisfiableError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.value import replace, value
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import compare
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import Solution
from apkiln.solver.source import PackageSource, RecordList

_ROUNDS = 32
"""How often limits are tightened; each round settles a name for good, or the architectures count as irreconcilable."""
_TRIES = 12
"""How many single versions of a name are tried on all architectures."""

Versions = frozenset[str]


@value
class Problem:
    """What one architecture is asked for."""

    arch: Arch
    repositories: tuple[SolverRepository, ...]
    request: Request
    """The world; and for updates, what is installed and what of it is to be newer."""


class HeldBack(NamedTuple):
    """A package that is older than one architecture alone would have it."""

    name: str
    version: str
    """What all architectures get."""
    newer: str
    """What those that are ahead would have."""
    ahead: tuple[str, ...]
    """apk names of the architectures that have the newer version."""
    lagging: tuple[str, ...]
    """apk names of the users that do not."""

    def __str__(self) -> str:
        return f"{self.name} stays at {self.version}: {_listed(self.lagging)} lags behind {self.newer} of {_listed(self.ahead)}"


@value
class Unified:
    """A solution for each architecture."""

    solutions: tuple[tuple[Arch, Solution], ...]
    """In the order of the problems."""
    drift: tuple[str, ...] = ()
    """Names whose versions differ, as the request allows; sorted."""
    held_back: tuple[HeldBack, ...] = ()


class _Limits(NamedTuple):
    """Versions that are allowed; names come before origins, and what neither speaks of is free."""

    names: Mapping[str, Versions] = {}
    origins: Mapping[str, Versions] = {}
    free: frozenset[str] = frozenset()
    """Names that no limit speaks of."""

    def allow(self, record: IndexRecord) -> bool:
        versions = self.names.get(record.name)
        if versions is None and record.origin and record.name not in self.free:
            versions = self.origins.get(record.origin)
        return versions is None or record.version in versions

    def with_name(self, name: str, versions: Versions) -> _Limits:
        return self._replace(names={**self.names, name: versions})

    def with_origin(self, origin: str, versions: Versions) -> _Limits:
        return self._replace(origins={**self.origins, origin: versions})


class LimitedSource:
    """Another source without the records that limits rule out.  Looks at the records of the names that are asked for only."""

    def __init__(self, source: PackageSource, limits: _Limits) -> None:
        self._source = source
        self._limits = limits

    def record(self, number: int) -> IndexRecord:
        return self._source.record(number)

    def providers(self, name: str) -> Sequence[int]:
        return self._allowed(self._source.providers(name))

    def reverse_install_if(self, name: str) -> Sequence[int]:
        return self._allowed(self._source.reverse_install_if(name))

    def _allowed(self, numbers: Sequence[int]) -> Sequence[int]:
        return [number for number in numbers if self._limits.allow(self._source.record(number))]


def unify(problems: Sequence[Problem], drift: Collection[str] = (), *, any_drift: bool = False) -> Unified:
    """Solve all; names that several architectures have get one version, the newest possible, unless they may drift.

    `drift`: names that may differ; `any_drift`: all may.  Raises UnsatisfiableError (`architectures-differ` with a line for
    each name that cannot be unified and the architecture that lags; otherwise that of the solver, with the architecture as a
    detail) and UndecidedError of the solver.  The order of `problems` decides nothing but the order of the result.
    """
    job = _Job(problems)
    alone = job.solve(_Limits())
    if any_drift:
        return Unified(job.in_order(alone), _differing(alone))
    return job.unified(alone, frozenset(drift))


class _Job:
    """One call of `unify`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems = {problem.arch: _indexed(problem) for problem in problems}

    def in_order(self, solutions: Mapping[Arch, Solution]) -> tuple[tuple[Arch, Solution], ...]:
        return tuple((arch, solutions[arch]) for arch in self._problems)

    def unified(self, alone: dict[Arch, Solution], drift: frozenset[str]) -> Unified:
        limits, solutions = _Limits(free=drift), alone
        for _ in range(_ROUNDS):
            differing = [name for name in _differing(solutions) if name not in drift]
            if not differing:
                kept = tuple(name for name in _differing(solutions) if name in drift)
                return Unified(self.in_order(solutions), kept, tuple(_held_back(alone, solutions)))
            limits, solutions = self._tightened(limits, solutions, differing)
        raise self._irreconcilable(differing, solutions)

    def solve(self, limits: _Limits) -> dict[Arch, Solution]:
        return {arch: self._solve(problem, limits) for arch, problem in self._problems.items()}

    def _solve(self, problem: Problem, limits: _Limits) -> Solution:
        repositories: Sequence[SolverRepository] = problem.repositories
        request = problem.request
        if limits.names or limits.origins:
            repositories = [_limited(repository, limits) for repository in repositories]
            request = replace(request, installed=tuple(filter(limits.allow, request.installed)))
        from apkiln.solver.solving import solve  # most builds ask what was answered before

        try:
            return solve(repositories, request, problem.arch)
        except (UnsatisfiableError, UndecidedError) as error:
            if len(self._problems) > 1:
                error.details = (f"on {problem.arch.apk}", *error.details)
            raise

    def _tightened(
        self, limits: _Limits, solutions: dict[Arch, Solution], differing: Sequence[str]
    ) -> tuple[_Limits, dict[Arch, Solution]]:
        """Limits that settle more names, and what they lead to."""
        common = {name: self._common(name, solutions) for name in differing}
        hopeless = [name for name in differing if not common[name]]
        if hopeless:
            raise self._irreconcilable(hopeless, solutions)
        fresh = [name for name in differing if limits.names.get(name) != common[name]]
        if not fresh:
            return self._settled(limits, differing[0], common[differing[0]], solutions)
        for name in fresh:
            limits = limits.with_name(name, common[name])
        return self._with_origins(limits, solutions, fresh, common)

    def _with_origins(
        self, limits: _Limits, solutions: dict[Arch, Solution], names: Sequence[str], common: Mapping[str, Versions]
    ) -> tuple[_Limits, dict[Arch, Solution]]:
        wider = limits
        for name in names:
            for origin in sorted({record.origin for record in _chosen(name, solutions) if record.origin}):
                wider = wider.with_origin(origin, wider.origins.get(origin, common[name]) & common[name])
        for tried in (wider, limits):
            try:
                return tried, self.solve(tried)
            except UnsatisfiableError as error:
                cause = error
        raise self._irreconcilable(names, solutions, cause) from cause

    def _settled(
        self, limits: _Limits, name: str, common: Versions, solutions: dict[Arch, Solution]
    ) -> tuple[_Limits, dict[Arch, Solution]]:
        """`name` fixed to the newest version that works everywhere."""
        cause: UnsatisfiableError | None = None
        for version in _newest_first(common)[:_TRIES]:
            tried = limits.with_name(name, frozenset({version}))
            try:
                return tried, self.solve(tried)
            except UnsatisfiableError as error:
                cause = cause or error
        raise self._irreconcilable([name], solutions, cause) from cause

    def _common(self, name: str, solutions: Mapping[Arch, Solution]) -> Versions:
        users = [arch for arch, solution in solutions.items() if any(item.record.name == name for item in solution.packages)]
        return frozenset.intersection(*(self._offers(name, arch) for arch in users))

    def _offers(self, name: str, arch: Arch) -> Versions:
        found = {record.version for record in self._problems[arch].request.installed if record.name == name}
        for repository in self._problems[arch].repositories:
            source = repository.records
            assert not isinstance(source, Sequence), "indexed at the beginning"
            records = (source.record(number) for number in source.providers(name))
            found.update(record.version for record in records if record.name == name)
        return frozenset(found)

    def _irreconcilable(
        self, names: Sequence[str], solutions: Mapping[Arch, Solution], cause: UnsatisfiableError | None = None
    ) -> UnsatisfiableError:
        listed = _listed([f"`{name}`" for name in names])
        details = [self._offered(name, solutions) for name in names]
        if cause is not None:
            details += [f"with one version for all: {cause.message}", *cause.details]
        return UnsatisfiableError(
            f"no version of {listed} fits all architectures",
            reason="architectures-differ",
            hint="list names that may differ in `contents.drift`, or give `--drift NAME`",
            details=details,
        )

    def _offered(self, name: str, solutions: Mapping[Arch, Solution]) -> str:
        """`library: aarch64 lags with 2.0-r0; x86_64 has 2.1-r0`."""
        users = [arch for arch in solutions if any(item.record.name == name for item in solutions[arch].packages)]
        newest = {arch: _newest_first(self._offers(name, arch))[0] for arch in users}
        best = _newest_first(frozenset(newest.values()))[0]
        behind = [f"{arch.apk} lags with {version}" for arch, version in newest.items() if version != best]
        ahead = [arch.apk for arch, version in newest.items() if version == best]
        if behind:
            return f"{name}: {'; '.join(behind)}; {_listed(ahead)} has {best}"
        chosen = [f"{arch.apk} needs {record.version}" for arch in users for record in _chosen(name, {arch: solutions[arch]})]
        return f"{name}: {'; '.join(chosen)}"


def _indexed(problem: Problem) -> Problem:
    """With sources that look names up, so that lists are indexed once and not at every round."""
    repositories = [
        replace(item, records=RecordList(item.records)) if isinstance(item.records, Sequence) else item
        for item in problem.repositories
    ]
    return replace(problem, repositories=tuple(repositories))


def _limited(repository: SolverRepository, limits: _Limits) -> SolverRepository:
    source = repository.records
    assert not isinstance(source, Sequence), "indexed at the beginning"
    return SolverRepository(
        LimitedSource(source, limits), repository.number, repository.tag, repository.reachable, repository.name
    )


def _differing(solutions: Mapping[Arch, Solution]) -> tuple[str, ...]:
    """Names that several architectures have in different versions, sorted."""
    versions: dict[str, set[str]] = {}
    for solution in solutions.values():
        for item in solution.packages:
            versions.setdefault(item.record.name, set()).add(item.record.version)
    return tuple(sorted(name for name, found in versions.items() if len(found) > 1))


def _chosen(name: str, solutions: Mapping[Arch, Solution]) -> list[IndexRecord]:
    return [item.record for solution in solutions.values() for item in solution.packages if item.record.name == name]


def _held_back(alone: Mapping[Arch, Solution], together: Mapping[Arch, Solution]) -> list[HeldBack]:
    found = []
    for name in sorted({item.record.name for solution in together.values() for item in solution.packages}):
        before = {arch: record.version for arch in alone for record in _chosen(name, {arch: alone[arch]})}
        after = {record.version for record in _chosen(name, together)}
        if len(after) != 1 or len(set(before.values())) < 2:
            continue
        version, newest = after.pop(), _newest_first(frozenset(before.values()))[0]
        if compare(version, newest) < 0:
            ahead = tuple(arch.apk for arch, own in before.items() if own == newest)
            lagging = tuple(arch.apk for arch, own in before.items() if own != newest)
            found.append(HeldBack(name, version, newest, ahead, lagging))
    return found


def _newest_first(versions: Versions) -> list[str]:
    return sorted(sorted(versions), key=cmp_to_key(compare), reverse=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
