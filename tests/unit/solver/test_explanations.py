"""What people read when nothing satisfies a request: one case a table in `explanations.toml`, word for word.

`python -m tests.unit.solver.test_explanations` prints the file anew; read the difference before keeping it.
"""

from __future__ import annotations

import json
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from tests.made_up_indexes import ARCH, records

from apkiln.core.errors import UnsatisfiableError
from apkiln.formats.apk.dependency import Dependency, parse_dependencies
from apkiln.solver.explanation import Unsatisfiable
from apkiln.solver.explanation_text import value
from apkiln.solver.request import Request, SolverRepository
from apkiln.solver.solving import solve

FILE = Path(__file__).with_name("explanations.toml")
CASES: list[dict[str, Any]] = tomllib.loads(FILE.read_text())["case"] if FILE.exists() else []


def repositories(case: dict[str, Any]) -> list[SolverRepository]:
    """`main: a-1; b-2` or `@edge extra: a-2`."""
    found = []
    for number, line in enumerate(case["repositories"]):
        label, _, text = line.partition(": ")
        tag, _, name = label.rpartition(" ")
        found.append(SolverRepository(records(text), number, tag.removeprefix("@"), name=name))
    return found


def refusal(case: dict[str, Any], world: tuple[Dependency, ...] | None = None) -> UnsatisfiableError | None:
    request = Request(parse_dependencies(case["world"]) if world is None else world)
    try:
        solve(repositories(case), request, ARCH)
    except UnsatisfiableError as error:
        return error
    return None


def text_of(case: dict[str, Any]) -> str:
    error = refusal(case)
    assert error is not None, f"{case['name']} has a solution"
    hint = [f"hint: {error.hint}"] if error.hint else []
    return "\n".join([error.message, *(f"  {line}" for line in error.details), *hint])


def test_there_are_thirty() -> None:
    assert len(CASES) >= 30
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_words(case: dict[str, Any]) -> None:
    assert text_of(case) == case["text"].strip("\n")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_set_is_a_conflict_and_each_member_counts(case: dict[str, Any]) -> None:
    error = refusal(case)
    if not isinstance(error, Unsatisfiable):
        return
    conflict = error.explanation.conflict
    assert isinstance(refusal(case, conflict), UnsatisfiableError)
    for fewer in combinations(conflict, len(conflict) - 1):
        assert refusal(case, fewer) is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_suggestions_help(case: dict[str, Any]) -> None:
    error = refusal(case)
    if not isinstance(error, Unsatisfiable):
        return
    world = [str(item) for item in parse_dependencies(case["world"])]
    for suggestion in error.explanation.suggestions:
        changed = [suggestion.replacement if item == suggestion.item else item for item in world]
        assert refusal(case, parse_dependencies(" ".join(changed))) is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_json_form_says_the_same(case: dict[str, Any]) -> None:
    error = refusal(case)
    if not isinstance(error, Unsatisfiable):
        return
    form = json.loads(json.dumps(value(error.explanation)))
    assert form["verdict"] == "unsatisfiable"
    assert form["conflict"] == [str(item) for item in error.explanation.conflict]
    assert [fact["kind"] for fact in form["facts"]] == [fact.kind for fact in error.explanation.facts]
    assert {"hints", "suggestions", "places", "smallest", "irreducible"} <= form.keys()


def _print_anew() -> None:
    for case in CASES:
        names = ", ".join(json.dumps(line) for line in case["repositories"])
        print(f"[[case]]\nname = {json.dumps(case['name'])}\nrepositories = [{names}]\nworld = {json.dumps(case['world'])}")
        print(f"text = '''\n{text_of(case)}\n'''\n")


if __name__ == "__main__":
    _print_anew()
