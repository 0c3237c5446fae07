"""What apk was seen to answer where small things decide (docs/adr/0021): the forward pass must take the same way."""

from __future__ import annotations

import pytest
from tests.made_up_indexes import ARCH, changes, records, repositories

from apkiln.core.errors import UnsatisfiableError
from apkiln.core.value import replace
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.solver.commands import parse_command, plan
from apkiln.solver.solving import solve

SPARED = [
    ("a-4{w}; c-3[a]; c-5{w=2}", "a c", "a-4 c-3"),
    ("a-4{w}; c-3[a]; c-5{w=2 y=3}", "a c", "a-4 c-3"),
    ("a-4{w}; c-3[a]; c-5{w=2 y}", "a c", ""),
    ("a-4{w}; a-5{w=1}; c-3[a]; c-5{w=2 y}", "a c", ""),
    ("a-4{w=1}; c-3[a]; c-5{w=2 y}", "a c", "a-4 c-3"),
    ("a-4{w=1}; c-3[a]; c-5{w y}", "a c", "a-4 c-3"),
    ("a-4{w}; a-5{w=1}; c-3[a]; c-5{w}", "a c", "a-4 c-5"),
    ("A-3{m}; A-5; p-5[m]", "A p", "A-3 p-5"),
    ("A-3{m}; A-5{s}; p-5[m]", "A p", ""),
    ("A-3{m=1}; A-5{s}; p-5[m]", "A p", "A-3 p-5"),
    ("A-3{m n=1} k5; B-4[m]; B-5{n=5 s}[m]", "B", "A-3 B-4"),
]
"""A name that all candidates own leaves no room for others; where it is unversioned, packages that share any name are spared."""

ORDER = [
    ("a-1[y]; a-2{v}; c-2; c-4{v=3}; f-3{y=3}[a c]", "f", "a-1 c-4 f-3"),
    ("a-1[y]; a-2{v}; c-2[g]; c-4{v=3}; f-3{y=3}[c a]", "f", ""),
    ("a-1{g=1}[h y]; a-2[h]; b-3; b-5{h}; d-4{y}[b]; h-2[g]; h-3", "b a", "b-5 a-2"),
]
"""Discovery follows what a package depends on once, where it meets the package first."""

BAD_LISTS = [
    ("b-1{w}; b-2; b-4[a<x d]; d-1; d-5[w~3]", "b d", "b-2 d-1"),
    ("b-1{w}; b-2; b-4[d v@x]; d-1; d-5[w~3]", "b d", "b-2 d-1"),
    ("b-1{w}; b-2; b-4[v@x d]; d-1; d-5[w~3]", "b d", ""),
    ("a-5[=1]; b-3{=1}", "a", "b-3 a-5"),
    ("a-1[!]; b-3{=1}", "a b", ""),
    ("b-3{z=1 v=}", "z", "b-3"),
    ("b-3{v= z=1}", "z", ""),
    ("b-3{v@x z=1}", "z", ""),
]
"""A bad item ends a list when it has a tag or lacks its version; an invalid version does not."""

TRIGGERED = [
    ("b-1; c-1{v} i:'b'", "b", "b-1 c-1"),
    ("b-1; c-1{v} i:'b'", "b v", ""),
    ("b-1[v]; c-1{v} i:'b'", "b", ""),
    ("b-1; c-1{v} i:'b'; e-1[v]", "b e", "b-1 c-1 e-1"),
    ("b-1; c-1{v} i:'b'; e-1{v} k1", "b v", "b-1 c-1"),
]
"""A virtual name whose only package was triggered is decided before that package, and then finds nothing."""

LOOKED_AT = [
    ("a-1[b !h] i:'c'; a-2[e>4]; b-5; c-4[h]; f-1; f-5[a]; g-1{b}[i]; h-5[f]; i-5[c]", "g", "f-1 h-5 c-4 i-5 g-1"),
    ("a-1[b !h]; a-2[e>4] i:'c'; b-5; c-4[h]; f-1; f-5[a]; g-1{b}[i]; h-5[f]; i-5[c]", "g", ""),
    ("a-1[b !h] i:'q'; a-2[e>4] i:'c'; b-5; c-4[h]; f-1; f-5[a]; g-1{b}[i]; h-5[f]; i-5[c]", "g", "f-1 h-5 c-4 i-5 g-1"),
    ("a-1[b !h]; a-2 i:'c'; b-5; c-4[h]; f-1; f-5[a]; g-1{b}[i]; h-5[f]; i-5[c !a=2]", "g", "f-1 h-5 c-4 i-5 g-1"),
]
"""A name is looked at for install_if as long as a candidate with one was left the last time."""

NOTHING = [
    ("b-4{w=2}; f-1[w] i:'!b g'; g-3; i-5 i:'g'; q-1{w=1} i:'i h'", "g", "g-3 i-5 q-1 f-1"),
    ("b-4{w=2}; f-1[w] i:'!b g'; g-3", "g", "g-3"),
    ("f-1[x] i:'!b g'; g-3; x-1{b=1}", "g", "g-3"),
    ("f-1[x] i:'!b g'; g-3; x-1{b}", "g", "g-3 x-1 f-1"),
    ("f-1[x] i:'!b g'; g-3; x-2{b}; x-1", "g", "g-3 x-2 f-1"),
]
"""A name decided to have no package rules out those that own it, and stays so."""

TWICE = [
    ("e-3; e-5{v}[f]; f-2{v=2 v}; f-3{v=3}; g-5[f e]", "g", "f-3 e-3 g-5"),
    ("e-3; e-5{v}[f]; f-2{v v=2}; f-3{v=3}; g-5[f e]", "g", ""),
]
"""Of one name provided twice, the first entry counts."""

UNASKED = [
    ("b-1{y}; c-1{y} i:'b'; c-2 i:'b'", "b y", "b-1 c-1"),
    ("b-1{y}; c-1{y} i:'b'; c-2 i:'b'", "b", "b-1 c-2"),
    ("b-1{y}; c-1{y} i:'b'; c-2{y} i:'b'; c-3 i:'b'", "b y", "b-1 c-2"),
    ("a-4; d-4[a]; d-5; f-3{a}[a] i:'d'", "d", "d-5 f-3"),
    ("a-4; d-4[a]; d-5; e-4 i:'f'; f-3{a}[a] i:'d'", "d", ""),
    ("a-4; d-4[a]; d-5; e-4 i:'f'; f-3{a=1}[a] i:'d'", "d", "d-5 f-3 e-4"),
    ("f-1{v}; h-3[v]; f-3{v} i:'i'; i-1; e-4{h}", "i h", "f-3 h-3 i-1"),
]
"""Of triggered packages, those that also answer to a required name come first; none is taken for a name it merely shares."""

DISCOVERY = [
    ("f-3{e}; e-5; f-5{x=2} i:'e'; g-5{x=1} i:'e'", "e", "e-5 g-5"),
    ("f-5{x=2} i:'t'; e-5{p=1}[t]; t-1[p]; g-5{x=1} i:'t e'", "e", "t-1 f-5 e-5"),
    ("f-5{x=2} i:'t'; e-5{p=1 u=1}[t]; t-1[p]; g-5{x=1} i:'t u'", "e", "t-1 f-5 e-5"),
    ("f-5{x=2} i:'t'; e-5[t]; t-1{p=1}[p]; g-5{x=1} i:'t'", "e", "t-1 g-5 e-5"),
]
"""A package leads to those who mention its own name and to the names it provides, under each name that reaches it."""


@pytest.mark.parametrize(
    "index, items, wanted", [*UNASKED, *DISCOVERY, *NOTHING, *TWICE, *SPARED, *ORDER, *BAD_LISTS, *TRIGGERED, *LOOKED_AT]
)
def test_the_forward_pass(index: str, items: str, wanted: str) -> None:
    """Empty = refused."""
    assert forward((index,), items) == wanted.split()


TAGS = [
    (("a-5[y]", "@e:a-1{y}[e]; b-1; b-2[e]; c-2; d-1[b]; e-1{y}[c d]"), "a b@e c", "", "c-2 b-2 d-1 e-1 a-5"),
    (("a-5[y b]", "@e:a-1{y}[e]; b-2[e]; b-1; e-1{y}[c]; c-2"), "a b@e c", "", "c-2 e-1 b-2 a-5"),
    (("a-5[y b e]", "@e:a-1{y}[e]; b-2[e]; b-1; e-1{y}[c]; c-2"), "a b@e c", "", ""),
    (("a-1[c]; a-2[v<=3] i:'c'; c-2", "@e:a-4{v}[w]"), "c", "", ""),
    (("a-5[e x]", "@e:x-1[e]; b-2[e x]; b-1; e-1{y}[c b]; c-2"), "a b@e c", "", "c-2 x-1 b-2 e-1 a-5"),
]
"""A last candidate that is looked at again hands the tags it has by then to what it needs; install_if is looked at once, whatever
the look at the dependencies changes."""


@pytest.mark.parametrize("texts, items, world, wanted", TAGS)
def test_the_forward_pass_with_tags(texts: tuple[str, ...], items: str, world: str, wanted: str) -> None:
    assert forward(texts, items, world) == wanted.split()


@pytest.mark.parametrize(
    "items, world, tag",
    [("", "f@t a@e", "t"), ("", "a@e f@t", "e"), ("f@t a@e", "", "e"), ("a@e", "f@t", "t"), ("f@t", "a@e", "e")],
)
def test_of_two_tags_the_first_of_the_world_file_is_shown(items: str, world: str, tag: str) -> None:
    request = plan(parse_command(["add", *items.split()]), parse_dependencies(world), (), ())
    found = solve(repositories("q-1", "@e:a-3", "@t:a-3; f-3[a]"), request, ARCH)
    assert [package.tag for package in found.packages if package.record.name == "a"] == [tag]


@pytest.mark.parametrize(
    "third, wanted",
    [("f-3", False), ("f-3{e}", True), ("f-3{e=3}", True), ("h-3{e}", False)],
)
def test_each_word_against_a_package_is_heard(third: str, wanted: bool) -> None:
    """f is decided to have no package; what that says against f-3, once more, lets g be looked at."""
    found = repositories(f"@e:{third}; f-5{{w}} i:'b<5'")
    installed = records("e-5{b}; f-4; g-5[w] i:'e'")
    request = replace(plan(parse_command(["del", "f"]), parse_dependencies("e"), installed, ()), strict_apk=True)
    if not wanted:
        with pytest.raises(UnsatisfiableError):
            solve(found, request, ARCH)
        return
    assert [change.name for change in solve(found, request, ARCH).changes] == ["f", "g"]


@pytest.mark.parametrize(
    "index, items, wanted, left_out",
    [
        ("a-4; d-3[w] i:'a'; e-1{w}", "a", "a-4", "d it needs w"),
        ("a-5; b-4[w] i:'d'; c-5{w} i:'!e'; d-4 i:'a'; e-2 i:'d'", "a", "a-5 d-4 e-2", "b it needs w"),
        ("a-5{y} i:'!f'; b-3[y<2] i:'g'; f-5; g-5[f]", "g", "f-5 g-5", "b it needs y<2"),
    ],
)
def test_a_package_that_joins_brings_none_for_a_name_it_merely_shares(index: str, items: str, wanted: str, left_out: str) -> None:
    found = solve(repositories(index), plan(parse_command(["add", *items.split()]), (), (), ()), ARCH)
    assert changes(found) == wanted.split()
    assert [f"{each.record.name} {each.reason}" for each in found.left_out] == [left_out]


def forward(texts: tuple[str, ...], items: str, world: str = "") -> list[str]:
    request = plan(parse_command(["add", *items.split()]), parse_dependencies(world), (), ())
    try:
        return changes(solve(repositories(*texts), replace(request, strict_apk=True), ARCH))
    except UnsatisfiableError:
        return []
