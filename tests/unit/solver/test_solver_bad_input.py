"""Indexes nobody should write: each has a defined answer, whatever its size (spec apk.md §12.3, §19)."""

from __future__ import annotations

import pytest
from tests.made_up_indexes import ARCH, answer, records, repositories, request

from apkiln.core.errors import FormatError, UnsatisfiableError
from apkiln.core.limits import DEFAULT_LIMITS
from apkiln.formats.apk import version
from apkiln.formats.apk.dependency import parse_dependency
from apkiln.formats.apk.index_text import format_record, parse_index_text
from apkiln.formats.apk.records import IndexRecord
from apkiln.solver.explanation import Unsatisfiable
from apkiln.solver.request import SolverRepository
from apkiln.solver.solving import solve

WIDE = 10_000


def chain(length: int) -> list[IndexRecord]:
    return [
        IndexRecord(f"p{number}", "1", "x86_64", number.to_bytes(20, "big"), 1, 1, depends=f"p{number + 1}")
        for number in range(length)
    ]


@pytest.mark.parametrize("length", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_chain_of_very_many_dependencies_is_solved(length: int) -> None:
    end = IndexRecord(f"p{length}", "1", "x86_64", length.to_bytes(20, "big"), 1, 1)
    found = solve([SolverRepository([*chain(length), end])], request("p0"), ARCH)
    assert len(found.changes) == length + 1
    assert found.changes[0].name == f"p{length}"


def test_a_long_chain_without_an_end_is_refused_with_its_facts() -> None:
    with pytest.raises(Unsatisfiable) as caught:
        solve([SolverRepository(chain(1000))], request("p0"), ARCH)
    facts = caught.value.explanation.facts
    assert [fact.kind for fact in facts] == ["depends"] * 1000 + ["no-such-package"]
    assert facts[-1].item == "p1000"


@pytest.mark.parametrize("index", ["a-1[b]; b-1[c]; c-1[a]", "a-1[a]", "a-1[!a]", "a-1[!a>0]"])
def test_circles_and_self_references_are_fine(index: str) -> None:
    assert "a-1" in answer(index, "a")


@pytest.mark.parametrize("index", ["a-1{a}", "a-1{a=1}", "a-1{x=1 x=1}", "a-1{x x=1}"])
def test_a_package_that_gives_a_name_twice_conflicts_with_itself(index: str) -> None:
    with pytest.raises(Unsatisfiable) as caught:
        answer(index, "a")
    assert "exclusive-name" in {fact.kind for fact in caught.value.explanation.facts}


def test_a_name_that_only_exists_as_an_unversioned_provide_is_explained() -> None:
    with pytest.raises(Unsatisfiable) as caught:
        answer("a-1{x}; b-1{x}", "x")
    assert {fact.kind for fact in caught.value.explanation.facts} == {"depends", "virtual-unselectable"}


def test_an_unknown_tag_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        answer(repositories("a-1", "@edge:a-2"), "a@egde")
    assert caught.value.reason == "unknown-tag"
    assert "@edge" in caught.value.hint


def test_a_package_with_many_provides_is_found_by_each() -> None:
    record = IndexRecord("a", "1", "x86_64", bytes(20), 1, 1, provides=" ".join(f"v{number}={number}" for number in range(WIDE)))
    found = solve([SolverRepository([record])], request(f"v{WIDE // 2}>=5 v1"), ARCH)
    assert [package.record.name for package in found.packages] == ["a"]


def test_a_million_provides_are_more_than_a_line_may_hold() -> None:
    record = IndexRecord("a", "1", "x86_64", bytes(20), 1, 1, provides=" ".join(f"v{number}=1" for number in range(10**6)))
    with pytest.raises(FormatError) as caught:
        parse_index_text(format_record(record).encode())
    assert caught.value.reason == "index-line-too-long"
    assert len(record.provides) > DEFAULT_LIMITS.index_line


@pytest.mark.parametrize("digits", [5_000, 100_000])
def test_versions_of_any_length_are_compared(digits: int) -> None:
    """Python converts no number of more than 4,300 digits; apk wraps at 2^64."""
    huge = "9" * digits
    value = int("9" * 100) % 2**64
    assert version.compare("9" * 100, str(value)) == 0
    assert version.compare(huge, huge) == 0
    assert version.compare(f"1.{huge}", f"1.{huge}-r1") < 0
    assert version.compare(f"1.0{huge}", "1.1") < 0
    assert version.is_valid(huge)
    assert not version.is_valid(huge + "!")
    assert str(parse_dependency(f"a<{huge}")) == f"a<{huge}"


@pytest.mark.parametrize("digits", [19, 20, 37, 4_000])
def test_numbers_wrap_as_those_of_apk_do(digits: int) -> None:
    number = int("7" * digits)
    assert version.compare(str(number), str(number % 2**64)) == 0


def test_versions_with_many_parts_are_solved() -> None:
    parts = "1." * 5_000
    low, high = (IndexRecord("a", parts + end, "x86_64", end.encode() * 20, 1, 1) for end in "12")
    found = solve([SolverRepository([low, high])], request(f"a>{parts}1"), ARCH)
    assert found.packages[0].record is high


MALFORMED = ["a>", "a<x", "b=", "b@x", "a=1="]


@pytest.mark.parametrize("item", MALFORMED)
def test_a_malformed_dependency_makes_its_package_uninstallable_and_nothing_else(item: str) -> None:
    index = f"a-1; a-2[{item}]; b-1"
    assert answer(index, "a b") == ["a-1", "b-1"]
    with pytest.raises(Unsatisfiable) as caught:
        answer(index, "a=2")
    assert [fact.kind for fact in caught.value.explanation.facts] == ["depends", "bad-record"]
    assert caught.value.explanation.facts[1].package == "a-2"


@pytest.mark.parametrize("item", ["!", "!=1"])
def test_a_refusal_of_nothing_is_no_obstacle(item: str) -> None:
    assert answer(f"a-1[{item}]", "a") == ["a-1"]


@pytest.mark.parametrize("item", ["=1", "b><x"])
def test_what_nothing_can_be_cannot_be_needed(item: str) -> None:
    assert answer(f"a-1; a-2[{item}]; b-1", "a") == ["a-1"]


def test_a_record_of_an_index_that_must_not_be_chosen_is_named_and_the_rest_stays() -> None:
    lines = [format_record(record) for record in records("good-1; other-2")]
    bad = lines[0].replace("P:good", "P:bad").replace("V:1", "V:1.2-1").replace("C:Q1", "C:Q1AAAA", 1)
    bad = "\n".join(line if not line.startswith("C:") else "C:Q1" + "A" * 27 + "=" for line in bad.split("\n"))
    text = parse_index_text("\n".join([lines[0], bad, lines[1]]).encode())
    assert text.unusable == {1}
    assert [(warning.reason, warning.package) for warning in text.warnings] == [("version-invalid", "bad-1.2-1")]
    assert "1.2-r1" in text.warnings[0].message
    usable = [record for number, record in enumerate(text.records) if number not in text.unusable]
    assert len(solve([SolverRepository(usable)], request("good other"), ARCH).packages) == 2
