"""apk's command lines as requests, and what they do to an installed set (spec apk.md §10.3, §10.5, §19.1)."""

from __future__ import annotations

import pytest
from tests.made_up_indexes import ARCH, records, repositories

from apkiln.core.errors import FormatError, UsageError
from apkiln.formats.apk.dependency import parse_dependencies
from apkiln.solver.commands import parse_command, plan
from apkiln.solver.request import Request
from apkiln.solver.solving import solve
from apkiln.solver.source import provided_names
from apkiln.solver.transcript import transcript


def request(line: str, world: str = "", installed: str = "", index: str = "") -> Request:
    known = {name for record in records(index) for name in provided_names(record)}
    return plan(parse_command(line.split()), parse_dependencies(world), records(installed), known)


def lines(line: str, world: str, installed: str, index: str) -> list[str]:
    solution = solve(repositories(index), request(line, world, installed, index), ARCH)
    return [text.partition(") ")[2] for text in transcript(solution)[:-1]]


def world_of(line: str, world: str = "", installed: str = "", index: str = "") -> str:
    return " ".join(map(str, request(line, world, installed, index).world))


@pytest.mark.parametrize(
    "line, world, wanted",
    [
        ("add b", "a", "a b"),
        ("add a>1", "a b a<5", "a>1 b a<5"),
        ("add a<3 a>1", "", "a>1"),
        ("add a !a=3", "", "!a=3"),
        ("del a", "a b a<5", "a<5 b"),
        ("del nope", "a", "a"),
        ("fix a", "a b", "a b"),
        ("upgrade -a", "a><X1" + "00" * 20 + " b", "a b"),
    ],
)
def test_the_world_after_a_command(line: str, world: str, wanted: str) -> None:
    assert world_of(line, world) == wanted


def test_prune_drops_what_nobody_provides() -> None:
    assert world_of("upgrade --prune", "a gone !x v", index="a-1{v}") == "a v"


def test_dependants_leave_the_world_with_what_they_need() -> None:
    assert world_of("del -r c", "a b c d", "a-1[b]; b-1[c]; c-1; d-1") == "d"


@pytest.mark.parametrize(
    "line, world, installed, index, wanted",
    [
        ("add b", "a", "a-1", "a-1; a-2; b-1", ["Installing b (1)"]),
        ("add -u a", "a", "a-1", "a-1; a-2", ["Upgrading a (1 -> 2)"]),
        ("add b", "a", "a-1[c]; c-1", "a-1[c]; c-1; c-2; b-1[c>1]", ["Upgrading c (1 -> 2)", "Installing b (1)"]),
        ("upgrade", "a", "a-1[b]; b-1", "a-2[b]; b-2", ["Upgrading b (1 -> 2)", "Upgrading a (1 -> 2)"]),
        ("upgrade a", "a b", "a-1; b-1", "a-2; b-2", ["Upgrading a (1 -> 2)"]),
        ("upgrade --ignore a", "a b", "a-1; b-1", "a-1; a-2; b-2", ["Upgrading b (1 -> 2)"]),
        ("upgrade", "a", "a-1", "a-1 b1", []),
        ("upgrade -a", "a", "a-1", "a-1 b1", ["Replacing a (1 -> 1)"]),
        ("upgrade -a", "a", "a-2", "a-1", ["Downgrading a (2 -> 1)"]),
        ("del a", "a", "a-1[b]; b-1", "a-1[b]; b-1", ["Purging a (1)", "Purging b (1)"]),
        ("del a", "b", "a-1; b-1[a]", "a-1; b-1[a]", []),
        ("fix a", "a", "a-1[b]; b-1", "a-1[b]; b-1", ["Reinstalling a (1)"]),
        ("fix -d a", "a", "a-1[b]; b-1", "a-1[b]; b-1", ["Reinstalling b (1)", "Reinstalling a (1)"]),
        ("fix -u a", "a", "a-1", "a-1; a-2", ["Upgrading a (1 -> 2)"]),
        ("fix a", "a", "a-1", "b-1", ["[APK unavailable, skipped] Reinstalling a (1)"]),
        ("upgrade", "a", "a-1", "b-2{a=2}", ["Purging a (1)", "Installing b (2)"]),
        ("add -l a", "", "", "a-1; a-2[b]; b-1", ["Installing b (1)", "Installing a (2)"]),
        ("add -t .mine a b", "", "", "a-1; b-1", ["Installing a (1)", "Installing b (1)", "Installing .mine (0)"]),
    ],
)
def test_changes(line: str, world: str, installed: str, index: str, wanted: list[str]) -> None:
    assert lines(line, world, installed, index) == wanted


@pytest.mark.parametrize("line, reason", [("frob a", "unknown-verb"), ("add --frob a", "unknown-option")])
def test_bad_command_lines(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command(line.split())
    assert caught.value.reason == reason


@pytest.mark.parametrize("line", ["add a==", "add -t .v>1 a", "add -t .v=invalid a", "add -t .v a@edge"])
def test_bad_items(line: str) -> None:
    with pytest.raises(FormatError):
        request(line)
