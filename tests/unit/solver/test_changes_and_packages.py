"""On an empty root the steps install exactly the packages of the solution, whichever path found it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.arch import Arch
from apkiln.core.errors import UnsatisfiableError
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solution import Solution
from apkiln.solver.solving import solve

NAMES = "abcd"


def record(name: str, version: str, depends: str, install_if: str) -> IndexRecord:
    identity = f"{name}{version}{depends}{install_if}".encode().ljust(20, b"\0")[:20]
    return IndexRecord(name, version, "noarch", identity, 1, 1, depends=depends, install_if=install_if)


def answer(first: list[IndexRecord], second: list[IndexRecord], world: str) -> Solution:
    repositories = [SolverRepository(first, 0), SolverRepository(second, 1)]
    return solve(repositories, Request(parse_dependencies(world)), Arch.parse("x86_64"))


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(NAMES),
        st.sampled_from("12"),
        st.lists(st.sampled_from(["a", "b", "c", "d>1", "!d"]), max_size=2, unique=True).map(" ".join),
        st.sampled_from(["", "", "a", "b c"]),
    ),
    max_size=6,
)


@given(RECORDS, RECORDS, st.sampled_from(["a", "b", "a b"]))
def test_steps_install_the_packages(first: list[IndexRecord], second: list[IndexRecord], world: str) -> None:
    try:
        solution = answer(first, second, world)
    except UnsatisfiableError:
        return
    assert sorted(change.new for change in solution.changes if change.new) == sorted(solution.packages)


def test_what_the_search_triggers_is_installed_too() -> None:
    """apk's way fails on the first build of `a`; the search takes the other one, which completes `c`."""
    solution = answer([record("c", "1", "", "a"), record("a", "1", "b", "")], [record("a", "1", "", "")], "a")
    assert [change.new.record.name for change in solution.changes if change.new] == ["a", "c"]
