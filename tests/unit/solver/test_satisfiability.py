"""The clause solver against exhaustive search."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.solver.decisions import StepLimitReached
from apkiln.solver.reasons import Clause
from apkiln.solver.satisfiability import ClauseSolver

SIZE = 8
LITERALS = st.integers(1, SIZE).flatmap(lambda number: st.sampled_from([number, -number]))
CLAUSES = st.lists(st.lists(LITERALS, min_size=1, max_size=3), max_size=36)
ASSUMPTIONS = st.lists(LITERALS, max_size=4, unique_by=abs)


def solver(clauses: list[list[int]]) -> ClauseSolver:
    made = ClauseSolver(100_000)
    for _ in range(SIZE):
        made.variable()
    for clause in clauses:
        made.add(clause)
    return made


def exists(clauses: list[list[int]]) -> bool:
    return any(
        all(any(values[abs(literal) - 1] == (literal > 0) for literal in clause) for clause in clauses)
        for values in product((False, True), repeat=SIZE)
    )


@given(CLAUSES, st.lists(ASSUMPTIONS, min_size=1, max_size=4))
@settings(max_examples=300)
def test_verdict_model_and_core(clauses: list[list[int]], questions: list[list[int]]) -> None:
    made = solver(clauses)
    for assumptions in questions:
        facts = [[literal] for literal in assumptions]
        possible = made.solve(assumptions)
        assert possible == exists(clauses + facts)
        if possible:
            assert all(any(made.holds(abs(literal)) == (literal > 0) for literal in clause) for clause in clauses + facts)
        else:
            assert set(made.core) <= set(assumptions)
            assert not exists(clauses + [[literal] for literal in made.core])


@given(CLAUSES)
def test_clauses_may_be_added_between_questions(clauses: list[list[int]]) -> None:
    made = solver([])
    for number, clause in enumerate(clauses, 1):
        made.add(clause)
        assert made.solve() == exists(clauses[:number])


@given(CLAUSES, ASSUMPTIONS, st.sampled_from([None, False, True]))
@settings(max_examples=400)
def test_decisions_in_a_fixed_order_end_at_the_first_model(
    clauses: list[list[int]], assumptions: list[int], disturbs: bool | None
) -> None:
    """Whether it goes back one decision at a time, all the way, or one at a time and then all the way after all."""
    made = solver(clauses)
    made.choose = lambda: next((number for number in range(1, SIZE + 1) if made.value(number) == 0), None)
    wanted = [*clauses, *([literal] for literal in assumptions)]
    models = (
        values
        for values in product((True, False), repeat=SIZE)
        if all(any(values[abs(literal) - 1] == (literal > 0) for literal in clause) for clause in wanted)
    )
    first = next(models, None)
    assert made.solve(assumptions) == (first is not None)
    if first is not None:
        assert tuple(made.holds(number) for number in range(1, SIZE + 1)) == first


def test_a_spent_budget_is_no_verdict() -> None:
    made = ClauseSolver(0)
    made.variable()
    with pytest.raises(StepLimitReached):
        made.solve()


@st.composite
def grouped(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Sizes of groups, and clauses over their variables."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    literals = st.integers(1, sum(sizes)).flatmap(lambda number: st.sampled_from([number, -number]))
    return sizes, draw(st.lists(st.lists(literals, min_size=1, max_size=3), max_size=24))


@given(grouped(), st.booleans(), st.lists(st.integers(1, 16), max_size=3, unique=True))
@settings(max_examples=300)
def test_variables_of_a_group_are_alternatives(problem: tuple[list[int], list[list[int]]], led: bool, wanted: list[int]) -> None:
    """Clauses that come only when a variable they are about must be true say the same."""
    sizes, clauses = problem
    total = sum(sizes)

    def load(domain: int) -> list[Clause]:
        brought = []
        for clause in clauses:
            given = next((literal for literal in clause if literal < 0 and made.domain_of(-literal) == domain), None)
            if given is not None:
                rest = [literal for literal in made.clause(clause) if literal[0] != domain]
                own = [literal for literal in made.clause(clause) if literal[0] == domain]
                brought.append([*own, *rest])
        return brought

    made = ClauseSolver(100_000, load)
    groups = [list(made.group(size)) for size in sizes]
    for clause in clauses:
        if all(literal > 0 for literal in clause):
            made.add(clause)
    if led:
        made.choose = lambda: next((number for number in range(1, total + 1) if made.value(number) == 0), None)
    assumptions = [number for number in wanted if number <= total]
    choices = product(*([0, *group] for group in groups))
    facts = [*clauses, *([number] for number in assumptions)]
    possible = [
        chosen
        for chosen in choices
        if all(any((abs(literal) in chosen) == (literal > 0) for literal in clause) for clause in facts)
    ]
    assert made.solve(assumptions) == bool(possible)
    if possible:
        assert all(any(made.holds(abs(literal)) == (literal > 0) for literal in clause) for clause in facts)
        assert all(sum(made.holds(number) for number in group) <= 1 for group in groups)
    else:
        assert set(made.core) <= set(assumptions)
