"""Laws of the solver over made-up worlds: independence of order, valid answers, right verdicts, conflicts that are minimal."""

from __future__ import annotations

from itertools import combinations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.made_up_indexes import ARCH, changes, records

from apkiln.core.errors import UnsatisfiableError
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import Dependency, parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.checking import check
from apkiln.solver.explanation import Unsatisfiable
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import Solution
from apkiln.solver.solving import solve
from apkiln.solver.source import canonical_records

NAMES = "abcd"
ITEM = st.tuples(st.sampled_from(["", "", "", "!"]), st.sampled_from(NAMES + "x"), st.sampled_from(["", "", "=1", ">1", "<2"]))
ITEMS = st.lists(ITEM.map("".join), max_size=2).map(" ".join)
PROVIDES = st.sampled_from(["", "", "", "{x}", "{x=1}", "{x=2}"])


@st.composite
def indexes(draw: st.DrawFn, *, install_if: bool = False) -> list[IndexRecord]:
    packages = []
    for name in NAMES:
        for version in range(1, draw(st.integers(0, 2)) + 1):
            trigger = draw(st.sampled_from(["", "", " i:'a b'", " i:'c=1 x'"])) if install_if else ""
            priority = draw(st.sampled_from(["", " k1", " k2"]))
            packages.append(f"{name}-{version}{draw(PROVIDES)}[{draw(ITEMS)}]{trigger}{priority}")
    return canonical_records(records("; ".join(packages)))


WORLDS = st.lists(ITEM.map("".join), min_size=1, max_size=3, unique=True).map(lambda items: parse_dependencies(" ".join(items)))


def attempt(
    index: list[IndexRecord], world: tuple[Dependency, ...], *, strict_apk: bool = False
) -> Solution | UnsatisfiableError:
    try:
        return solve([SolverRepository(index)], Request(world, strict_apk=strict_apk), ARCH)
    except UnsatisfiableError as error:
        return error


def shape(answer: Solution | UnsatisfiableError) -> object:
    return changes(answer) if isinstance(answer, Solution) else answer.details


def faults(
    packages: list[IndexRecord], world: tuple[Dependency, ...], answer: Solution | None = None, index: object = ()
) -> object:
    left_out = [item.record for item in answer.left_out] if answer else []
    return check(packages, world, {"x86_64", "noarch"}, {}, left_out, index)  # type: ignore[arg-type]


@given(indexes(install_if=True), WORLDS, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_the_order_of_records_and_world_has_no_meaning(
    index: list[IndexRecord], world: tuple[Dependency, ...], random: object
) -> None:
    shuffled, other = list(index), list(world)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(other)  # type: ignore[attr-defined]
    assert shape(attempt(shuffled, tuple(other))) == shape(attempt(index, world))


@given(indexes(install_if=True), WORLDS)
@settings(max_examples=150)
def test_every_answer_passes_the_independent_checker(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    answer = attempt(index, world)
    if isinstance(answer, Solution):
        assert not faults([package.record for package in answer.packages], world, answer, index)


@given(indexes(), WORLDS)
@settings(max_examples=150)
def test_a_refusal_means_that_no_set_is_valid(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    if isinstance(attempt(index, world), Solution):
        return
    for size in range(len(index) + 1):
        for packages in combinations(index, size):
            violations = check(list(packages), world, {"x86_64", "noarch"}, {})
            assert violations or _only_circular(list(packages), world), [package.name_version for package in packages]


def _only_circular(packages: list[IndexRecord], world: tuple[Dependency, ...]) -> bool:
    """Whether some package is called for by a circle only: valid to the checker, no answer to the search."""
    reached: list[IndexRecord] = []
    while True:
        fresh = [package for package in packages if package not in reached and _called(package, world, reached)]
        if not fresh:
            return len(reached) < len(packages)
        reached += fresh


def _called(package: IndexRecord, world: tuple[Dependency, ...], by: list[IndexRecord]) -> bool:
    items = [*world, *(item for other in by for item in parse_dependencies(other.depends, lenient=True))]
    positive = tuple(item for item in items if not item.conflict)
    return not any(violation.rule == "unneeded" for violation in check([package._replace(depends="")], positive, {"x86_64"}, {}))


@given(indexes(), WORLDS)
@settings(max_examples=150)
def test_strict_mode_agrees_wherever_it_answers(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    strict = attempt(index, world, strict_apk=True)
    if isinstance(strict, Solution):
        assert shape(attempt(index, world)) == shape(strict)


@given(indexes(), WORLDS)
@example(records("c-1{x}"), parse_dependencies("c x !c"))
@settings(max_examples=100)
def test_without_any_member_of_a_conflict_there_is_a_solution(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    refused = attempt(index, world)
    if not isinstance(refused, Unsatisfiable):
        return
    conflict = refused.explanation.conflict
    assert isinstance(attempt(index, conflict), UnsatisfiableError)
    for item in conflict:
        rest = tuple(other for other in conflict if other is not item)
        assert isinstance(attempt(index, rest), Solution)
    for smaller in range(1, len(conflict)):
        for items in combinations(world, smaller):
            assert isinstance(attempt(index, items), Solution)


@given(indexes(), WORLDS)
@settings(max_examples=60)
def test_an_installed_solution_needs_no_change(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    answer = attempt(index, world)
    if isinstance(answer, Solution):
        installed = tuple(package.record for package in answer.packages)
        again = solve([SolverRepository(index)], replace(Request(world), installed=installed), ARCH)
        assert {package.record.name for package in again.packages} == {record.name for record in installed}


@given(indexes(install_if=True), WORLDS)
@settings(max_examples=300)
def test_a_look_at_a_part_of_the_names_gives_the_whole_answer(index: list[IndexRecord], world: tuple[Dependency, ...]) -> None:
    """A tagged repository, although empty, calls for the full run."""
    try:
        whole: object = changes(solve([SolverRepository(index), SolverRepository([], 1, "unused")], Request(world), ARCH))
    except UnsatisfiableError:
        whole = None
    partial = attempt(index, world)
    assert (changes(partial) if isinstance(partial, Solution) else None) == whole
