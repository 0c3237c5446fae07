"""Answers that are remembered: equal to fresh ones, and for the very same question only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.acquire.index_tables import table_of
from apkiln.acquire.indexes import LoadedIndex
from apkiln.acquire.repositories import Repository
from apkiln.core.arch import Arch
from apkiln.core.digest import Digest
from apkiln.core.errors import UnsatisfiableError
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.image.remembered_solutions import Indexes, remembered
from apkiln.image.unify import Problem, Unified, unify
from apkiln.solver.request import SolverRepository, adding
from apkiln.system.memory_store import MemoryStore

AMD64, ARM64 = Arch.parse("amd64"), Arch.parse("arm64")
NAMES = "abcde"


def record(name: str, version: str, depends: str = "", install_if: str = "") -> IndexRecord:
    identity = hashlib.sha1(f"{name} {version} {depends} {install_if}".encode()).digest()
    return IndexRecord(name, version, "noarch", identity, 1, 1, depends=depends, install_if=install_if)


def index(records: list[IndexRecord], number: int = 0, tag: str = "") -> LoadedIndex:
    table = table_of(records)
    return LoadedIndex(Repository(f"r{number}", tag, number), "noarch", sha256(table.data), table, "key")


def sha256(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).digest())


class Question:
    """Indexes and worlds, asked of one store."""

    def __init__(self, indexes: Indexes, worlds: str, drift: Collection[str] = (), any_drift: bool = False) -> None:
        self.indexes = indexes
        self.worlds = worlds
        self.drift = drift
        self.any_drift = any_drift

    def problems(self) -> list[Problem]:
        request = adding(parse_dependencies(self.worlds))
        return [
            Problem(
                arch,
                tuple(SolverRepository(item.records, item.repository.number, item.repository.tag) for item in found),
                request,
            )
            for arch, found in self.indexes
        ]

    def solve(self) -> Unified:
        return unify(self.problems(), self.drift, any_drift=self.any_drift)

    def ask(self, store: MemoryStore, solve: Callable[[], Unified] | None = None) -> Unified:
        return remembered(store, self.problems(), self.indexes, self.drift, self.any_drift, solve or self.solve)


def refuse() -> Unified:
    raise AssertionError("must be remembered")


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(NAMES),
        st.sampled_from(["1", "2", "3"]),
        st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(" ".join),
        st.sampled_from(["", "", "a", "b c"]),
    ),
    min_size=1,
    max_size=8,
)


@given(RECORDS, RECORDS, RECORDS, st.sampled_from(NAMES), st.booleans())
@settings(deadline=None)
def test_what_is_remembered_equals_what_was_solved(
    first: list[IndexRecord], second: list[IndexRecord], other: list[IndexRecord], world: str, any_drift: bool
) -> None:
    indexes = [(AMD64, (index(first), index(second, 1))), (ARM64, (index(other), index(second, 1)))]
    question, store = Question(indexes, world, any_drift=any_drift), MemoryStore()
    try:
        fresh = question.solve()
    except UnsatisfiableError:
        with pytest.raises(UnsatisfiableError):
            question.ask(store)
        return
    assert question.ask(store) == fresh
    assert question.ask(store, refuse) == fresh


def test_every_part_of_the_question_counts() -> None:
    records = [record("a", "1", "b"), record("b", "1"), record("b", "2")]
    found = (index(records), index([record("c", "1")], 1, "edge"))
    question, store = Question([(AMD64, found)], "a"), MemoryStore()
    question.ask(store)
    others = [
        Question([(AMD64, found)], "a b"),
        Question([(ARM64, found)], "a"),
        Question([(AMD64, found)], "a", drift=("b",)),
        Question([(AMD64, found)], "a", any_drift=True),
        Question([(AMD64, found[:1])], "a"),
        Question([(AMD64, (found[0], replace(found[1], repository=Repository("r1", "other", 1))))], "a"),
        Question([(AMD64, (replace(found[0], digest=sha256(b"other")), found[1]))], "a"),
        Question([(AMD64, (replace(found[0], repository=Repository("r0", "", 7)), found[1]))], "a"),
    ]
    for other in others:
        with pytest.raises(AssertionError, match="must be remembered"):
            other.ask(store, refuse)
    assert question.ask(store, refuse) == question.solve()


def test_a_tag_and_a_left_out_package_are_remembered() -> None:
    tagged = index([record("t", "2")], 1, "edge")
    plain = index([record("t", "1"), record("a", "1", "!x"), record("x", "1", install_if="a")])
    question, store = Question([(AMD64, (plain, tagged))], "a t@edge"), MemoryStore()
    fresh = question.ask(store)
    (solution,) = (solution for _, solution in fresh.solutions)
    assert [item.tag for item in solution.packages if item.record.name == "t"] == ["edge"]
    assert question.ask(store, refuse) == fresh


def test_the_order_of_the_world_does_not_count() -> None:
    found = (index([record("a", "1"), record("b", "1")]),)
    store = MemoryStore()
    fresh = Question([(AMD64, found)], "a b").ask(store)
    assert Question([(AMD64, found)], "b a").ask(store, refuse) == fresh


def test_a_damaged_row_is_solved_again() -> None:
    question, store = Question([(AMD64, (index([record("a", "1")]),))], "a"), MemoryStore()
    fresh = question.ask(store)
    (key,) = (key for table, key in store.rows() if table == "solutions")
    store.damage_row("solutions", key)
    assert question.ask(store) == fresh


def test_a_start_from_installed_packages_is_solved_each_time() -> None:
    question, store = Question([(AMD64, (index([record("a", "1"), record("a", "2")]),))], "a"), MemoryStore()
    (problem,) = question.problems()
    updating = replace(problem, request=replace(problem.request, installed=(record("a", "1"),)))
    calls = []

    def solve() -> Unified:
        calls.append(1)
        return unify([updating])

    for _ in range(2):
        remembered(store, [updating], question.indexes, (), False, solve)
    assert len(calls) == 2
