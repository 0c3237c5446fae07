"""The clause solver against exhaustive search."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.solver.satisfiability import ClauseSolver, StepLimitReached

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
