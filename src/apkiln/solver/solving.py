"""The solver's one entrance."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.core.arch import Arch
from apkiln.core.errors import UnsatisfiableError
from apkiln.solver.changes import ChangeList, select
from apkiln.solver.greedy import GreedyRun
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import Solution, Statistics
from apkiln.solver.universe import Universe


def solve(repositories: Sequence[SolverRepository], request: Request, arch: Arch) -> Solution:
    universe = Universe(repositories, request, arch)
    run = GreedyRun(universe, request.world, request.named)
    run.run()
    if run.errors():
        raise UnsatisfiableError("no set of packages satisfies the request", reason="unsatisfiable")
    owners = {name: name.chosen.candidate for name in universe.names if name.chosen}
    changes = ChangeList(universe, owners).build(run.world)
    packages = sorted({candidate.identity: candidate for candidate in owners.values()}.values(), key=lambda c: c.name)
    return Solution(
        tuple(run.world),
        tuple(changes),
        tuple(select(universe, candidate) for candidate in packages),
        statistics=Statistics(len(run.names), sum(1 for _ in universe.candidates), run.decisions),
    )
