"""A case made small: whatever can be left out while the same kind of disagreement stays is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Case = dict[str, Any]


def shrink(case: Case, still: Callable[[Case], bool], most_tries: int = 3000) -> Case:
    """The smallest case reached by leaving out one thing at a time; `still` tells whether a smaller case shows the same."""
    tries = 0
    progress = True
    while progress and tries < most_tries:
        progress = False
        for smaller in _smaller(case):
            tries += 1
            if still(smaller):
                case, progress = smaller, True
                break
            if tries >= most_tries:
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Big parts first."""
    for number in range(len(case["repos"])):
        if len(case["repos"]) > 1:
            yield {**case, "repos": _without(case["repos"], number)}
    for name in sorted({row["P"] for repository in case["repos"] for row in repository["pkgs"]}):
        yield {**case, "repos": [{**each, "pkgs": [row for row in each["pkgs"] if row["P"] != name]} for each in case["repos"]]}
    for number, repository in enumerate(case["repos"]):
        for position in range(len(repository["pkgs"])):
            yield _with(case, number, {**repository, "pkgs": _without(repository["pkgs"], position)})
    for key in ("installed", "world"):
        for position in range(len(case[key])):
            yield {**case, key: _without(case[key], position)}
    for position in range(1, len(case["args"])):
        yield {**case, "args": _without(case["args"], position)}
    yield from _smaller_packages(case)


def _smaller_packages(case: Case) -> Iterator[Case]:
    for number, repository in enumerate(case["repos"]):
        for position, row in enumerate(repository["pkgs"]):
            for smaller in _smaller_rows(row):
                rows = [*repository["pkgs"][:position], smaller, *repository["pkgs"][position + 1 :]]
                yield _with(case, number, {**repository, "pkgs": rows})
    for position, row in enumerate(case["installed"]):
        for smaller in _smaller_rows(row):
            yield {**case, "installed": [*case["installed"][:position], smaller, *case["installed"][position + 1 :]]}


def _smaller_rows(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for letter in ("i", "D", "p"):
        items = row.get(letter, "").split()
        for position in range(len(items)):
            rest = _without(items, position)
            yield {**row, letter: " ".join(rest)} if rest else {key: value for key, value in row.items() if key != letter}
    for letter in ("k", "f", "s", "A"):
        if letter in row:
            yield {key: value for key, value in row.items() if key != letter}


def _with(case: Case, number: int, repository: Any) -> Case:
    return {**case, "repos": [*case["repos"][:number], repository, *case["repos"][number + 1 :]]}


def _without(items: list[Any], position: int) -> list[Any]:
    return [*items[:position], *items[position + 1 :]]
