"""The solver's one entrance: request in, solution out, or an error that carries the reason (spec apk.md §10.6)."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.core.arch import Arch
from apkiln.core.errors import UndecidedError, UnsatisfiableError
from apkiln.formats.apk.dependency import Dependency
from apkiln.solver.certainty import is_certain, may_be_certain
from apkiln.solver.changes import ChangeList, select
from apkiln.solver.greedy import GreedyRun, sorted_world
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import LeftOut, Solution, Statistics
from apkiln.solver.triggers import Triggers
from apkiln.solver.universe import Candidate, Name, Universe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.solver.clauses import RuleBase


def solve(repositories: Sequence[SolverRepository], request: Request, arch: Arch) -> Solution:
    """The best solution of a request.

    First apk's own way (the answer where apk answers), then the complete search; with `strict_apk` only the former.
    Raises `explanation.Unsatisfiable` (UnsatisfiableError, `unsatisfiable`) with the conflict, UnsatisfiableError
    `unknown-tag`, UndecidedError `step-limit`.  Pure and deterministic; without `strict_apk` the answer does not depend on
    the order of records or world items.  Cost: proportional to what the world can reach, not to the indexes.
    """
    _check_tags(repositories, request)
    universe = Universe(repositories, request, arch)
    world = sorted_world(request.world, file_order=request.strict_apk)
    plain = may_be_certain(universe, request)
    if plain:
        run = GreedyRun(universe, world, request.named)
        run.run(partial=True, whole=False)
        if not run.errors() and is_certain(universe, run):
            return _greedy_solution(universe, run)
        universe = universe.renewed()
    run = GreedyRun(universe, world, request.named)
    run.run(whole=request.strict_apk)
    failed = run.errors()
    if not failed:
        return _greedy_solution(universe, run)
    if request.drop_broken_world:
        return _solve_what_can_be(repositories, request, arch)
    if request.strict_apk:
        raise UnsatisfiableError(
            "apk finds no solution; without `strict_apk` all possibilities are tried",
            reason="unsatisfiable",
            details=[_failure(item) for item in failed],
        )
    return _search(repositories, request, universe.renewed() if plain else Universe(repositories, request, arch))


def _greedy_solution(universe: Universe, run: GreedyRun) -> Solution:
    owners = {name: name.chosen.candidate for name in universe.names if name.chosen}
    triggers = Triggers(universe, run.world, owners.values())
    left_out = tuple(LeftOut(candidate.record, triggers.obstacle(candidate)) for candidate in triggers.met())
    return _solution(universe, owners, run.world, left_out, Statistics(len(run.names), _count(universe), run.decisions))


def _search(repositories: Sequence[SolverRepository], request: Request, universe: Universe) -> Solution:
    from apkiln.solver.decisions import StepLimitReached
    from apkiln.solver.search import Search

    search = Search(universe, request.world, request.step_limit)
    try:
        found = search.run()
    except StepLimitReached:
        raise UndecidedError(
            f"no answer within {request.step_limit} steps", reason="step-limit", hint="raise the step limit or narrow the request"
        ) from None
    if found is None:
        raise _contradiction(repositories, request, search.rules)
    owners = _owners(universe, found.chosen)
    left_out = tuple(LeftOut(candidate.record, item) for candidate, item in found.left_out)
    counted = Statistics(sum(1 for _ in universe.names), _count(universe), len(found.chosen), found.steps)
    return _solution(universe, owners, sorted_world(request.world), left_out, counted)


def _contradiction(repositories: Sequence[SolverRepository], request: Request, rules: RuleBase) -> UnsatisfiableError:
    from apkiln.solver.decisions import StepLimitReached
    from apkiln.solver.explanation import explain

    try:
        return explain(repositories, request, rules)
    except StepLimitReached:  # proven all the same
        return UnsatisfiableError("no set of packages satisfies the request", reason="unsatisfiable")


def _solution(
    universe: Universe,
    owners: dict[Name, Candidate],
    world: Sequence[Dependency],
    left_out: tuple[LeftOut, ...],
    statistics: Statistics,
) -> Solution:
    changes = ChangeList(universe, owners).build(world)
    packages = sorted(dict.fromkeys(owners.values()), key=lambda candidate: (candidate.name, candidate.key, candidate.identity))
    return Solution(
        tuple(world),
        tuple(changes),
        tuple(select(universe, candidate) for candidate in packages),
        left_out,
        statistics,
    )


def _owners(universe: Universe, chosen: Sequence[Candidate]) -> dict[Name, Candidate]:
    owners: dict[Name, Candidate] = {}
    for candidate in chosen:
        owners[universe.name(candidate.name)] = candidate
    for candidate in chosen:
        for text, _ in candidate.provides:
            owners.setdefault(universe.name(text), candidate)
    return owners


def _check_tags(repositories: Sequence[SolverRepository], request: Request) -> None:
    known = sorted({repository.tag for repository in repositories if repository.tag})
    for item in sorted_world(request.world):
        if item.tag and item.tag not in known:
            listed = ", ".join(f"`@{tag}`" for tag in known) or "none"
            raise UnsatisfiableError(
                f"`{item}` wants a repository tagged `@{item.tag}` and there is none",
                reason="unknown-tag",
                hint=f"known tags: {listed}",
            )


def _solve_what_can_be(repositories: Sequence[SolverRepository], request: Request, arch: Arch) -> Solution:
    """`--force-broken-world`: the world without the items that cannot be met together with those before them."""
    from apkiln.core.value import replace

    kept: list[Dependency] = []
    solution = solve(repositories, replace(request, world=(), drop_broken_world=False), arch)
    for item in sorted_world(request.world):
        try:
            solution = solve(repositories, replace(request, world=(*kept, item), drop_broken_world=False), arch)
            kept.append(item)
        except UnsatisfiableError:
            continue
    return solution


def _failure(item: Candidate | Name) -> str:
    return item.text if isinstance(item, Name) else item.record.name_version


def _count(universe: Universe) -> int:
    return sum(1 for _ in universe.candidates)
