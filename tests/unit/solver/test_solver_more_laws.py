"""Laws of the complete path: minimal, monotone under what nobody asks for, the same in every process, right about small ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conflict_dense_worlds import Spoiler, conflict_dense_world
from tests.differential.exhaustive import FAULTS
from tests.differential.exhaustive import run as compare_with_exhaustive_search
from tests.made_up_indexes import ARCH, changes, records

from apkiln.core.errors import UnsatisfiableError
from apkiln.formats.apk.dependency import Dependency, parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.checking import check
from apkiln.solver.explanation import Unsatisfiable
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import Solution
from apkiln.solver.solving import solve

NAMES = "abcde"
ITEM = st.tuples(st.sampled_from(["", "", "", "!"]), st.sampled_from(NAMES), st.sampled_from(["", "=1", ">1", "<2"]))
ITEMS = st.lists(ITEM.map("".join), max_size=2).map(" ".join)
WORLDS = st.lists(ITEM.map("".join), min_size=1, max_size=3, unique=True).map(lambda items: parse_dependencies(" ".join(items)))


@st.composite
def indexes(draw: st.DrawFn) -> list[IndexRecord]:
    packages = [f"{name}-{number}[{draw(ITEMS)}]" for name in NAMES for number in range(1, draw(st.integers(0, 2)) + 1)]
    return records("; ".join(packages))


def attempt(index: list[IndexRecord], world: tuple[Dependency, ...]) -> Solution | None:
    try:
        return solve([SolverRepository(index)], Request(world), ARCH)
    except UnsatisfiableError:
        return None


@given(indexes(), WORLDS)
@settings(max_examples=120)
def test_no_proper_subset_of_an_answer_is_one(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    found = attempt(index, world)
    if found is None:
        return
    packages = [package.record for package in found.packages]
    assert not check(packages, world, {"x86_64"}, {})
    for size in range(len(packages)):
        for fewer in combinations(packages, size):
            assert check(list(fewer), world, {"x86_64"}, {})


@given(indexes(), WORLDS)
@settings(max_examples=120)
def test_packages_nobody_asks_for_change_nothing(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    more = [*index, *records("other-1[further]; further-1; further-2{far=1}; stray-1[nowhere]")]
    before, after = attempt(index, world), attempt(more, world)
    assert (before and changes(before)) == (after and changes(after))


SCRIPT = """
import json, sys
from tests.conflict_dense_worlds import Spoiler, conflict_dense_world
from tests.made_up_indexes import ARCH, changes
from apkiln.core.errors import UnsatisfiableError
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve
answers = []
for seed in range(4):
    records, world = conflict_dense_world(16, 5, seed, list(Spoiler)[seed] if seed % 2 else None)
    try:
        answers.append(changes(solve([SolverRepository(records)], Request(world), ARCH)))
    except UnsatisfiableError as error:
        answers.append([error.message, *error.details])
print(json.dumps(answers))
"""


def test_every_process_says_the_same() -> None:
    root = Path(__file__).resolve().parents[3]
    outputs = set()
    for seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, cwd=root, capture_output=True, text=True, timeout=120, check=True
        )
        outputs.add(result.stdout)
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop())) == 4


@pytest.mark.parametrize("seed", range(6))
def test_dense_conflicts_are_solved_or_refuted(seed: int) -> None:
    index, world = conflict_dense_world(20, 8, seed)
    found = solve([SolverRepository(index)], Request(world), ARCH)
    assert not check([package.record for package in found.packages], world, {"x86_64"}, {})


@pytest.mark.parametrize("spoiler", Spoiler)
@pytest.mark.parametrize("seed", range(3))
def test_spoiled_worlds_are_refuted_by_a_conflict_without_surplus(spoiler: Spoiler, seed: int) -> None:
    index, world = conflict_dense_world(24, 6, seed, spoiler)
    with pytest.raises(Unsatisfiable) as caught:
        solve([SolverRepository(index)], Request(world), ARCH)
    conflict = caught.value.explanation.conflict
    for item in conflict:
        rest = tuple(other for other in conflict if other is not item)
        found = solve([SolverRepository(index)], Request(rest), ARCH)
        assert not check([package.record for package in found.packages], rest, {"x86_64"}, {})


@pytest.mark.parametrize("spoiler", [Spoiler.BOUNDS, Spoiler.SETS])
def test_what_all_versions_have_in_common_refutes_without_a_decision(spoiler: Spoiler) -> None:
    index, world = conflict_dense_world(160, 12, 1, spoiler)
    with pytest.raises(Unsatisfiable):
        solve([SolverRepository(index)], Request(world, step_limit=1), ARCH)


def test_small_worlds_are_answered_as_an_exhaustive_search_answers_them(capsys: pytest.CaptureFixture[str]) -> None:
    counts = compare_with_exhaustive_search(1, 400, ["add", "dense", "provides", "conflict", "tags", "versions"])
    assert not any(counts[fault] for fault in FAULTS), capsys.readouterr().out
    assert counts["best solution"] > 5
