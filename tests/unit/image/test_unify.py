"""Laws of the joint solve: one version of a shared name, the newest that all its users have; order decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apkiln.core.arch import Arch
from apkiln.core.errors import UnsatisfiableError
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.version import compare
from apkiln.image.unify import Problem, Unified, unify
from apkiln.solver.request import Request, SolverRepository

AMD64, ARM64, S390X = Arch.parse("amd64"), Arch.parse("arm64"), Arch.parse("s390x")


def record(name: str, version: str, depends: str = "", origin: str = "", arch: str = "noarch", provides: str = "") -> IndexRecord:
    identity = f"{name}-{version}-{depends}".encode().ljust(20, b"-")[:20]
    return IndexRecord(name, version, arch, identity, 1, 1, origin=origin, depends=depends, provides=provides)


def problem(arch: Arch, records: list[IndexRecord], world: str) -> Problem:
    return Problem(arch, (SolverRepository(records),), Request(parse_dependencies(world)))


def versions(unified: Unified, name: str) -> dict[str, str]:
    return {
        arch.apk: item.record.version
        for arch, solution in unified.solutions
        for item in solution.packages
        if item.record.name == name
    }


def test_agreement_needs_no_second_solve() -> None:
    records = [record("a", "1"), record("a", "2")]
    unified = unify([problem(AMD64, records, "a"), problem(ARM64, records, "a")])
    assert versions(unified, "a") == {"x86_64": "2", "aarch64": "2"}
    assert not unified.held_back
    assert not unified.drift


def test_the_newest_common_version_is_taken_and_the_lagging_architecture_named() -> None:
    ahead = [record("a", "1"), record("a", "2"), record("a", "3")]
    unified = unify([problem(AMD64, ahead, "a"), problem(ARM64, ahead[:2], "a")])
    assert versions(unified, "a") == {"x86_64": "2", "aarch64": "2"}
    assert [str(item) for item in unified.held_back] == ["a stays at 2: aarch64 lags behind 3 of x86_64"]


def test_an_architecture_that_does_not_use_a_name_holds_nothing_back() -> None:
    ahead = [record("a", "1"), record("a", "2"), record("b", "1")]
    unified = unify([problem(AMD64, ahead, "a"), problem(ARM64, [record("a", "1"), record("b", "1")], "b")])
    assert versions(unified, "a") == {"x86_64": "2"}


def test_packages_of_one_origin_stay_together() -> None:
    """`lib` 2 is on both; its `dev` package is not, so both stay at 1."""
    old = [record("lib", "1", origin="lib"), record("lib-dev", "1", origin="lib")]
    new = [record("lib", "2", origin="lib"), record("lib-dev", "2", origin="lib")]
    unified = unify([problem(AMD64, [*old, *new], "lib lib-dev"), problem(ARM64, [*old, new[0]], "lib lib-dev")])
    assert versions(unified, "lib") == versions(unified, "lib-dev") == {"x86_64": "1", "aarch64": "1"}


def test_the_rest_of_an_origin_is_free_where_it_must_be() -> None:
    """`lib-data` of the same origin has versions of its own: the limit falls back to the name."""
    data = record("lib-data", "7", origin="lib")
    old, new = record("lib", "1", "lib-data", origin="lib"), record("lib", "2", "lib-data", origin="lib")
    unified = unify([problem(AMD64, [old, new, data], "lib"), problem(ARM64, [old, data], "lib")])
    assert versions(unified, "lib") == {"x86_64": "1", "aarch64": "1"}
    assert versions(unified, "lib-data") == {"x86_64": "7", "aarch64": "7"}


def test_drift_is_allowed_by_name_or_for_all() -> None:
    problems = [problem(AMD64, [record("a", "1"), record("a", "2")], "a"), problem(ARM64, [record("a", "1")], "a")]
    for unified in (unify(problems, {"a"}), unify(problems, any_drift=True)):
        assert versions(unified, "a") == {"x86_64": "2", "aarch64": "1"}
        assert unified.drift == ("a",)
    assert versions(unify(problems, {"b"}), "a") == {"x86_64": "1", "aarch64": "1"}


def test_a_drifting_name_is_not_held_back_by_its_origin() -> None:
    old = [record("lib", "1", origin="lib"), record("lib-dev", "1", origin="lib")]
    new = [record("lib", "2", origin="lib"), record("lib-dev", "2", origin="lib")]
    unified = unify([problem(AMD64, [*old, *new], "lib lib-dev"), problem(ARM64, [*old, new[0]], "lib lib-dev")], {"lib"})
    assert versions(unified, "lib") == {"x86_64": "2", "aarch64": "2"}
    assert versions(unified, "lib-dev") == {"x86_64": "1", "aarch64": "1"}


def test_different_needs_settle_on_a_version_that_suits_all() -> None:
    """Both architectures have both versions, but one may not have the newer."""
    records = [record("a", "1"), record("a", "2"), record("b", "1", "a<2")]
    unified = unify([problem(AMD64, records, "a"), problem(ARM64, records, "a b")])
    assert versions(unified, "a") == {"x86_64": "1", "aarch64": "1"}


def test_no_common_version_names_the_lagging_architecture() -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        unify([problem(AMD64, [record("a", "2")], "a"), problem(ARM64, [record("a", "1")], "a")])
    assert caught.value.reason == "architectures-differ"
    assert caught.value.details == ("a: aarch64 lags with 1; x86_64 has 2",)
    assert "drift" in caught.value.hint


def test_contradicting_needs_are_told() -> None:
    records = [record("a", "1"), record("a", "2"), record("b", "1", "a<2"), record("c", "1", "a>1")]
    with pytest.raises(UnsatisfiableError) as caught:
        unify([problem(AMD64, records, "b"), problem(ARM64, records, "c")])
    assert caught.value.reason == "architectures-differ"
    assert caught.value.details[0] == "a: x86_64 needs 1; aarch64 needs 2"


def test_an_unsatisfiable_architecture_is_named() -> None:
    with pytest.raises(UnsatisfiableError) as caught:
        unify([problem(AMD64, [record("a", "1")], "a"), problem(ARM64, [record("b", "1")], "a")])
    assert caught.value.reason != "architectures-differ"
    assert "on aarch64" in caught.value.details


VERSIONS = st.frozensets(st.sampled_from(["1", "2", "3", "4"]), min_size=1)
OFFERS = st.fixed_dictionaries(dict.fromkeys(("a", "b", "c"), VERSIONS))


def records_of(offers: Mapping[str, frozenset[str]]) -> list[IndexRecord]:
    """`a` needs `b`, whatever version; all three come from one origin."""
    return [
        record(name, version, "b" if name == "a" else "", "origin") for name in sorted(offers) for version in sorted(offers[name])
    ]


@given(st.tuples(OFFERS, OFFERS, OFFERS), st.permutations(range(3)))
@settings(max_examples=150, deadline=None)
def test_laws(offers: tuple[dict[str, frozenset[str]], ...], order: list[int]) -> None:
    archs = (AMD64, ARM64, S390X)
    worlds = ("a", "a c", "a")
    problems = [problem(arch, records_of(found), world) for arch, found, world in zip(archs, offers, worlds, strict=True)]
    common = {name: frozenset.intersection(*(found[name] for found in offers)) for name in ("a", "b")}
    try:
        unified = unify(problems)
    except UnsatisfiableError as error:
        assert error.reason == "architectures-differ"
        assert not all(common.values())
        return
    for name in ("a", "b"):
        found = set(versions(unified, name).values())
        assert len(found) == 1
        assert found <= common[name]
    for item in unified.held_back:
        assert compare(item.version, item.newer) < 0
        assert item.ahead
        assert item.lagging
    again = unify([problems[number] for number in order])
    assert dict(again.solutions) == dict(unified.solutions)
