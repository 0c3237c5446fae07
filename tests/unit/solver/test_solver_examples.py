"""Telling examples of the solver (spec apk.md §10.10, §19.1) and of each rule that decides an answer."""

from __future__ import annotations

import pytest
from tests.made_up_indexes import ARCH, answer, changes, records, repositories, request

from apkiln.core.errors import UndecidedError, UnsatisfiableError
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.solver.explanation import Unsatisfiable
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve

SOLVED = [
    ("p-9{x}", "p x<5", "p-9"),
    ("p-9{x}", "p x<=5", "p-9"),
    ("p-9{x}", "p !x>5", "p-9"),
    ("b-3{a=5}; a-1", "a", "b-3"),
    ("p-1{x} k1; q-1{x} k2", "x", "q-1"),
    ("p-1{x=2} k1; q-1{x=1} k9", "x", "p-1"),
    ("q-2{x=1} k1; p-1{x=1} k1", "x", "p-1"),
    ("a-1; b-1; ab-1[z] i:'a b'; z-1", "a b", "a-1 b-1 z-1 ab-1"),
    ("a-1[!ab]; b-1; ab-1 i:'a b'", "a b", "a-1 b-1"),
    ("a-1; b-1; ab-1[nope] i:'a b'", "a b", "a-1 b-1"),
    ("a-1[b]; b-1; b-2[e>=2]; e-1", "a", "b-1 a-1"),
    ("a-1 A:noarch", "a", "a-1"),
    ("a-1; a-2", "a=<1", "a-1"),
    ("a-1; a-2", "a=>2", "a-2"),
    ("a-1; a-2", "a~=1", "a-1"),
    ("a-1; a-2", "a<=>9", "a-2"),
    ("a-1; a-2; a-3", "a>1 a<3", "a-2"),
    ("a-1; d-1; d-2[!a<2]", "a d", "a-1 d-1"),
    ("c-1{v}[d] k5; d-1{w}; a-2[q=1]; a-1[q=2]; b-2[q=3]; b-1[q=2]; q-1; q-2; q-3", "a b v w", "q-2 a-1 b-1 d-1 c-1"),
    ("b-1; b-2[c>1]; c-1", "b", "b-1"),
    ("a-1{b}; b-1", "a b", "a-1"),
    ("a-1[b]; b-1[a]", "a", "b-1 a-1"),
    ("z-1{z2=v1}", "z", "z-1"),
    ("B-1; a-1; C-1", "C a B", "a-1 B-1 C-1"),
    ("h-2; g-1 i:'!o h>=2'", "h", "h-2 g-1"),
]
"""index, world, packages in order of the transaction"""


@pytest.mark.parametrize("index, world, wanted", SOLVED)
def test_solved(index: str, world: str, wanted: str) -> None:
    assert answer(index, world) == wanted.split()


REFUSED = [
    ("p-9{x}", "x"),
    ("p-9{x}", "x<5"),
    ("p-9{x}", "p x>=0"),
    ("p-9{x}", "p x=9"),
    ("p-9{x}", "p x~9"),
    ("p-9{x}", "p !x"),
    ("p-9{x}", "p !x<5"),
    ("b-3{b}", "b"),
    ("b-3{b=3}", "b"),
    ("p-1{z=1 z=2}", "p"),
    ("a-1 A:other", "a"),
    ("a-1[b>1]; b-1", "a"),
    ("a-1[=1]", "a"),
    ("a-1{x=1}; b-1{x=2}", "a b"),
    ("a-1{x}; b-1{x=2}", "a b"),
    ("", "a"),
]


@pytest.mark.parametrize("index, world", REFUSED)
@pytest.mark.parametrize("strict_apk", [False, True])
def test_refused(index: str, world: str, strict_apk: bool) -> None:
    with pytest.raises(UnsatisfiableError):
        answer(index, world, strict_apk=strict_apk)


STUCK = ["a-1[b]; b-1; b-2[e>=2]; e-1", "a-1; d-1; d-2[!a<2]", "a-1; b-1; ab-1[nope] i:'a b'"]


@pytest.mark.parametrize("index, world", list(zip(STUCK, ["a", "a d", "a b"], strict=True)))
def test_strict_mode_stops_where_apk_stops(index: str, world: str) -> None:
    assert answer(index, world)
    with pytest.raises(UnsatisfiableError):
        answer(index, world, strict_apk=True)


PINS = [
    (("a-1", "@edge:a-2"), "a", "a-1"),
    (("a-1", "@edge:a-2"), "a@edge", "a-2"),
    (("a-3", "@edge:a-2"), "a@edge", "a-2"),
    (("b-1", "@edge:a-2[b]; b-2"), "a@edge", "b-1 a-2"),
    (("b-1", "@edge:a-2[b>=2]; b-2"), "a@edge", "b-2 a-2"),
    (("c-1[b>=2]; b-1", "@edge:b-2"), "c b@edge", "b-2 c-1"),
    (("a-1", "a-2"), "a", "a-2"),
]


@pytest.mark.parametrize("texts, world, wanted", PINS)
def test_tags_and_repositories(texts: tuple[str, ...], world: str, wanted: str) -> None:
    assert answer(repositories(*texts), world) == wanted.split()


@pytest.mark.parametrize("texts, world", [(("a-1", "@edge:a-2"), "a=2"), (("c-1[b>=2]; b-1", "@edge:b-2"), "c")])
def test_a_tag_is_needed(texts: tuple[str, ...], world: str) -> None:
    with pytest.raises(UnsatisfiableError):
        answer(repositories(*texts), world)


def test_packages_do_not_allow_a_tag_to_each_other() -> None:
    with pytest.raises(UnsatisfiableError):
        answer(repositories("x-1", "@edge:c-2[b]; b-2[c]"), "c")


def test_an_unknown_tag_is_named() -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        answer(repositories("a-1", "@edge:a-2"), "a@nope")
    assert caught.value.reason == "unknown-tag"
    assert "`@edge`" in caught.value.hint


def test_of_two_builds_the_earlier_repository_wins() -> None:
    found = solve(repositories("a-1 b7", "a-1 b2"), request("a"), ARCH)
    assert found.packages[0].repository == 0
    assert found.packages[0].record.identity == records("a-1 b7")[0].identity


def test_what_would_end_its_own_trigger_is_left_out() -> None:
    """d asks for c, which brings g, and d wants to be there only where g is not; apk gives up at f-2."""
    found = solve(repositories("b-4; c-5[f]; d-1[c] i:'!g b'; f-1; f-2[a]; g-3 i:'c'"), request("b"), ARCH)
    assert changes(found) == ["b-4"]
    assert [(item.record.name, item.reason) for item in found.left_out] == [("d", "with it, its install_if is not met")]


def test_what_is_left_out_is_named_with_its_reason() -> None:
    found = solve(repositories("a-1; b-1; ab-1[nope] i:'a b'"), request("a b"), ARCH)
    assert [(item.record.name, item.reason) for item in found.left_out] == [("ab", "it needs nope")]


def test_identity_pins() -> None:
    record = records("a-1 b3")[0]
    both = [SolverRepository(records("a-1; a-1 b3; a-2"))]
    assert answer(both, f"a><X1{record.identity.hex()}") == ["a-1"]
    with pytest.raises(UnsatisfiableError):
        answer(both, f"a><X1{bytes(20).hex()}")


def test_a_budget_ends_with_a_verdict_of_its_own() -> None:
    small = replace(request("a"), step_limit=0)
    with pytest.raises(UndecidedError):
        solve(repositories("a-1[b]; b-1; b-2[e>=2]; e-1"), small, ARCH)


def test_broken_world_items_are_dropped_on_demand() -> None:
    found = solve(repositories("a-1[b]; b-1"), replace(request("a nope"), drop_broken_world=True), ARCH)
    assert [str(item) for item in found.world] == ["a"]
    assert len(found.packages) == 2


@pytest.mark.parametrize("strict_apk", [False, True])
def test_chains_of_any_length(strict_apk: bool) -> None:
    index = "; ".join(f"p{number}-1[p{number + 1}]" for number in range(5000)) + "; p5000-1"
    assert len(answer(index, "p0", strict_apk=strict_apk)) == 5001


def test_a_long_chain_that_cannot_be_met_is_searched_and_explained() -> None:
    index = "; ".join(f"p{number}-1[p{number + 1}]" for number in range(1500))
    with pytest.raises(Unsatisfiable):
        answer(index, "p0")


def test_installed_packages_are_kept_unless_more_is_asked() -> None:
    installed = tuple(records("a-1[b]; b-1; old-1"))
    index = repositories("a-1[b]; b-1; a-2[b]; b-2")
    kept = solve(index, Request(parse_dependencies("a"), installed), ARCH)
    assert [(change.kind.value, change.name) for change in kept.changes] == [("Purging", "old")]


def test_only_what_the_world_can_need_is_looked_at() -> None:
    docs = "; ".join(f"p{number}-1; p{number}-doc-1 i:'docs p{number}=1'" for number in range(50))
    found = solve(repositories(docs + "; docs-1"), request("p7"), ARCH)
    assert found.statistics.packages < 10
    assert changes(solve(repositories(docs + "; docs-1"), request("p7 docs"), ARCH)) == ["docs-1", "p7-1", "p7-doc-1"]


def test_nothing_is_chosen_that_the_rest_does_not_need() -> None:
    index = "a-1{w} k2; b-2{w} k10; c-1[w a<=3 d]; d-1; d-2[nope]"
    assert answer(index, "c") == ["a-1", "d-1", "c-1"]


def test_names_that_all_candidates_own_rule_out_others() -> None:
    """Without it `a` would go to a-2, which ties with b-3 and comes first, before b needs the name for itself."""
    assert answer("a-2[b]; b-3{a=2}; c-1", "b>=1 c a", strict_apk=True) == ["b-3", "c-1"]


ORDER_MATTERS = """
ramonu-2[timozu]; selinu-2[tizu]; sevo-2[zuvoke]; timozu-1[selinu]; tivoba-1[tizu]; tivoba-2[tizu]; tizu-1[sevo];
vonuzu-2[zunu]; zuba-2 i:'ramonu'; zunu-1[zuba]; zunu-2[tivoba]; zuvoke-1; zuvoke-2[tivoba<=1]
"""


def test_where_the_order_of_decisions_matters_all_names_are_looked_at() -> None:
    """zuvoke is decided before tivoba only because of names that nothing here needs."""
    assert {"tivoba-1", "zuvoke-2"} <= set(answer(ORDER_MATTERS, "vonuzu"))
