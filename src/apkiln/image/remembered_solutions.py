"""Solutions of known questions: what the solver answered to the same request over the same indexes.

Table in the store: `solutions` (digests of the indexes, requests, versions of the rules → numbers of the chosen records).  A
row names records by their place in an index whose signature was checked in this run; nothing about a package is taken from
the row itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence

from apkiln import __version__
from apkiln.acquire.index_tables import CHECKS
from apkiln.acquire.indexes import LoadedIndex
from apkiln.core import canonical_json
from apkiln.core.arch import Arch
from apkiln.core.value import field_names
from apkiln.formats.apk import index_table
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.unify import HeldBack, Problem, Unified
from apkiln.solver.request import adding
from apkiln.solver.solution import Change, ChangeKind, LeftOut, SelectedPackage, Solution, Statistics
from apkiln.system.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TABLE = "solutions"
_RULES = "5"
"""Changes when the solver, or the joining of architectures, gives other answers."""

Indexes = Sequence[tuple[Arch, Sequence[LoadedIndex]]]


def remembered(
    store: Store,
    problems: Sequence[Problem],
    indexes: Indexes,
    drift: Collection[str],
    any_drift: bool,
    solve: Callable[[], Unified],
) -> Unified:
    """The answer of an earlier run, else that of `solve`, which is kept.

    `problems` and `indexes` are of the same architectures in the same order, the repositories of a problem are its indexes.
    Requests that start from an installed set are solved each time.  Raises what `solve` raises.
    """
    if any(problem.request != adding(problem.request.world) for problem in problems):
        return solve()
    key = _key(problems, indexes, drift, any_drift)
    stored = store.get(_TABLE, key)
    if stored is not None:
        return _decoded(json.loads(stored), indexes)
    unified = solve()
    row = _encoded(unified, indexes)
    if row is not None:
        store.put(_TABLE, key, canonical_json.encode(row))
    return unified


def _key(problems: Sequence[Problem], indexes: Indexes, drift: Collection[str], any_drift: bool) -> str:
    """Digest of everything that the answer depends on."""
    described = [
        [
            arch.apk,
            [
                [str(index.digest), repository.number, repository.tag, repository.reachable]
                for index, repository in zip(found, problem.repositories, strict=True)
            ],
            sorted(map(str, problem.request.world)),
        ]
        for problem, (arch, found) in zip(problems, indexes, strict=True)
    ]
    versions = [__version__, _RULES, CHECKS, index_table.VERSION]
    return hashlib.sha256(canonical_json.encode([versions, described, sorted(drift), any_drift])).hexdigest()


def _encoded(unified: Unified, indexes: Indexes) -> list[Any] | None:
    """The row; None for answers that hold other steps than installing what the indexes list."""
    by_arch = dict(indexes)
    solutions = [_encoded_solution(solution, by_arch[arch]) for arch, solution in unified.solutions]
    if None in solutions:
        return None
    return [solutions, list(unified.drift), [list(item) for item in unified.held_back]]


def _encoded_solution(solution: Solution, indexes: Sequence[LoadedIndex]) -> list[Any] | None:
    chosen = [change.new for change in solution.changes if change.kind is ChangeKind.INSTALL and change.new is not None]
    steps = [_place(item.record, indexes, item.repository) for item in chosen]
    left_out = [_place(item.record, indexes) for item in solution.left_out]
    if len(chosen) != len(solution.changes) or sorted(chosen) != sorted(solution.packages) or None in (*steps, *left_out):
        return None
    order = {item: position for position, item in enumerate(chosen)}
    return [
        [str(item) for item in solution.world],
        [[*step, item.tag] for step, item in zip(steps, chosen, strict=True) if step is not None],
        [order[item] for item in solution.packages],
        [[*place, item.reason] for place, item in zip(left_out, solution.left_out, strict=True) if place is not None],
        [getattr(solution.statistics, name) for name in field_names(Statistics)],
    ]


def _place(record: IndexRecord, indexes: Sequence[LoadedIndex], repository: int | None = None) -> tuple[int, int] | None:
    """(position of the index, number of the record in it)."""
    for position, index in enumerate(indexes):
        if repository in (None, index.repository.number):
            for number in index.records.providers(record.name):
                if index.records.record(number) == record:
                    return position, number
    return None


def _decoded(row: list[Any], indexes: Indexes) -> Unified:
    solutions, drift, held_back = row
    return Unified(
        tuple((arch, _decoded_solution(solution, found)) for solution, (arch, found) in zip(solutions, indexes, strict=True)),
        tuple(drift),
        tuple(HeldBack(name, version, newer, tuple(ahead), tuple(lagging)) for name, version, newer, ahead, lagging in held_back),
    )


def _decoded_solution(row: list[Any], indexes: Sequence[LoadedIndex]) -> Solution:
    world, steps, order, left_out, statistics = row
    chosen = [
        SelectedPackage(indexes[position].records.record(number), indexes[position].repository.number, tag)
        for position, number, tag in steps
    ]
    return Solution(
        tuple([parse_dependency(text) for text in world]),
        tuple([Change(ChangeKind.INSTALL, None, item) for item in chosen]),
        tuple([chosen[position] for position in order]),
        tuple([LeftOut(indexes[position].records.record(number), reason) for position, number, reason in left_out]),
        Statistics(*statistics),
    )
