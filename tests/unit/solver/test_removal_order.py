"""The order in which packages go, and what `del -r` takes along; every row was seen in apk."""

from __future__ import annotations

import pytest
from tests.made_up_indexes import ARCH, records, repositories

from apkiln.core.errors import UsageError
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.solver.commands import parse_command, plan
from apkiln.solver.solution import ChangeKind
from apkiln.solver.solving import solve

SIGNS = {ChangeKind.PURGE: "-", ChangeKind.INSTALL: "+", ChangeKind.UPGRADE: "^", ChangeKind.DOWNGRADE: "v"}


def steps(line: str, world: str, installed: str, index: str = "") -> str:
    found = repositories(index)
    request = plan(parse_command(line.split()), parse_dependencies(world), records(installed), (), found)
    return " ".join(SIGNS[change.kind] + change.name for change in solve(found, request, ARCH).changes)


@pytest.mark.parametrize(
    "installed, wanted",
    [
        ("e-1; c-1; a-1; d-1; b-1", "-e -c -a -d -b"),
        ("a-1; b-1[a]; c-1[a]; d-1[a]; e-1", "-b -c -d -a -e"),
        ("a-1[d c b]; b-1; c-1; d-1; e-1", "-a -d -c -b -e"),
        ("b-1[c]; c-2[b]", "-c -b"),
        ("b-1{v0}[e]; c-2{e}[b]", "-b -c"),
        ("a-1; b-1{v0}[e]; c-2{e}[a v0]", "-c -a -b"),
        ("a-1{v}; b-1[v]; c-1[v]; d-1[v]", "-c -d -b -a"),
        ("b-1; h-1{v=1}[b e]; e-1; y-1[v]", "-y -h -e -b"),
        ("b-1; h-1{v}[b e]; e-1; y-1[v]", "-y -h -b -e"),
        ("b-1{e}; l-1[!e=2]", "-l -b"),
        ("e-1; c-2[e>1]", "-c -e"),
        ("e-4[g]; f-1; g-1[h]; h-2{g=2}", "-e -f -g -h"),
    ],
)
def test_an_installed_set_that_goes(installed: str, wanted: str) -> None:
    assert steps("del", "", installed) == wanted


def test_a_chain_of_removals_has_any_length() -> None:
    count = 5_000
    installed = "; ".join(f"p{number}-1[p{number + 1}]" for number in range(count)) + f"; p{count}-1"
    assert steps("del", "", installed).split() == [f"-p{number}" for number in range(count + 1)]


@pytest.mark.parametrize(
    "line, world, installed, index, wanted",
    [
        ("del -r a", "d", "a-1; b-1[a]; d-1[b]", "", "-d -b -a"),
        ("del -r a", "d", "a-1; b-1[a]; d-1[b]", "d-4[!a]", ""),
        ("del -r k", "b", "b-1[!k>=3]; k-1", "", "-b -k"),
        ("del -r k", "b", "b-1[!k<3]; k-1", "", "-k"),
        ("del -r m", "a", "m-1; b-2{a=1}[m]", "", "-b -m"),
        ("del -r m", "b v", "m-1{v=1}; b-2[v]", "", "-b -m"),
        ("del g", "c", "c-1; g-2", "c-2{g}", "-g ^c"),
        ("del c", "b", "a-3{c}; b-3[a]", "a-4", ""),
    ],
)
def test_deleting(line: str, world: str, installed: str, index: str, wanted: str) -> None:
    assert steps(line, world, installed, index) == wanted


@pytest.mark.parametrize(
    "line, world, installed, index, wanted",
    [
        ("upgrade", "e", "a-1{e}; e-1", "b-3{e=3 a}", "-e -a +b"),
        ("upgrade", "e", "c-1{e}; e-1; d-1{e}", "b-3{e=3 d c a}", "-e -d -c +b"),
        ("upgrade", "h", "h-1[i]; i-2; m-1", "h-4; e-3 i:'h'", "-m ^h +e -i"),
        ("fix", "b c g", "c-4[t]; g-2{o}; k-2{b=4}; o-3{k}", "t-2", "+t -o"),
    ],
)
def test_a_name_that_changes_hands(line: str, world: str, installed: str, index: str, wanted: str) -> None:
    assert steps(line, world, installed, index) == wanted


@pytest.mark.parametrize("line", ["del m", "fix m", "upgrade m", "upgrade --ignore m", "del a m"])
def test_a_name_nothing_speaks_of(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        steps(line, "a", "a-1", "b-1")
    assert caught.value.reason == "unknown-name"
    assert steps(line, "a", "a-1", "b-1[m]") in ("", "-a")
