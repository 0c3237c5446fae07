"""Small random worlds put to the product and to an exhaustive search: `python -m tests.differential.exhaustive --count 5000`.

Exit 1 when the product missed a solution, refused or accepted wrongly, or its answer is not the best by the objective.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from tests.conformance.suites.apk_random import Answer, answer, made_up
from tests.differential.exhaustive_search import Listed, SmallWorld, TooLarge
from tests.differential.random_cases import Case, make_case

from apkiln.formats.apk.dependency import parse_dependency
from apkiln.solver.commands import parse_command, plan

FAMILIES = ("add", "dense", "versions", "provides", "conflict", "tags", "repositories", "arch", "identity", "odd-names", "world")
MOST = 13
"""Packages within reach of a world that is counted through."""

BEST, APKS, NONE = "best solution", "apk's own solution", "no solution"
VALID = "solution, preference not compared"
MISSED, WRONG, NOT_MINIMAL, NOT_BEST, UNDECIDED = "MISSED", "WRONG", "NOT MINIMAL", "NOT BEST", "UNDECIDED"
FAULTS = (MISSED, WRONG, NOT_MINIMAL, NOT_BEST, UNDECIDED)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="first seed; the families take turns (default 1)")
    parser.add_argument("--count", type=int, default=1000, help="cases compared (default 1000); too large ones do not count")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="may repeat")
    arguments = parser.parse_args()
    began = time.perf_counter()
    print(f"seed {arguments.seed}, {arguments.count} cases", flush=True)
    counts = run(arguments.seed, arguments.count, arguments.family or FAMILIES)
    for outcome, count in counts.most_common():
        print(f"{count:7}  {outcome}")
    print(f"{sum(counts[outcome] for outcome in FAULTS)} faults in {time.perf_counter() - began:.0f} s")
    return 1 if any(counts[outcome] for outcome in FAULTS) else 0


def run(seed: int, count: int, families: tuple[str, ...] | list[str]) -> Counter[str]:
    """Outcomes of `count` cases; faults are printed as they appear."""
    counts: Counter[str] = Counter()
    number = 0
    while counts.total() < count:
        family = families[number % len(families)]
        case = _without_install_if(make_case(family, seed + number // len(families)))
        number += 1
        try:
            outcome = compare(case)
        except TooLarge:
            continue
        counts[outcome] += 1
        if outcome in FAULTS:
            print(f"{case['id']}: {outcome}: {json.dumps(case)}", flush=True)
    return counts


def compare(case: Case) -> str:
    """The outcome of one case without installed packages; raises TooLarge."""
    problem = made_up(case)
    request = plan(parse_command(["add", *_items(case)]), [parse_dependency(item) for item in case["world"]], (), ())
    known = {repository["tag"] for repository in case["repos"]}
    if any(item.tag and item.tag not in known for item in request.world):
        raise TooLarge
    small = SmallWorld(_listed(case), request.world, MOST)
    solutions = small.solutions()
    plain_case = {**case, "args": ["add", *_items(case)]}
    got = answer(plain_case, problem, strict=False)
    if got.reason == "step-limit":
        return UNDECIDED
    if got.solution is None:
        return MISSED if solutions else NONE
    strict = answer(plain_case, problem, strict=True)
    return _judged(case, small, solutions, got, strict)


def _judged(case: Case, small: SmallWorld, solutions: list[int], got: Answer, strict: Answer) -> str:
    assert got.solution is not None
    numbers = {package.record.identity: number for number, package in enumerate(small.packages)}
    records = [package.record for package in got.solution.packages]
    if not strict.refused:  # where apk answers, that is the answer; it may be one the search would not call grounded
        return APKS
    if any(record.identity not in numbers for record in records):
        return WRONG
    chosen = sum(1 << numbers[record.identity] for record in records)
    if chosen not in solutions:
        return WRONG
    if any(other != chosen and other & chosen == other for other in solutions):
        return NOT_MINIMAL
    if any(package.tags for package in small.packages) or _shares_names(small):
        return VALID
    return BEST if small.best(solutions) == chosen else NOT_BEST


def _shares_names(small: SmallWorld) -> bool:
    """Whether some package has an unversioned provide: it may have to be chosen for another name than the one it serves."""
    return any(not version for names in small.names for _, version in names)


def _without_install_if(case: Case) -> Case:
    """The case on an empty root."""
    rows = [[{letter: row[letter] for letter in row if letter != "i"} for row in each["pkgs"]] for each in case["repos"]]
    repositories = [{**each, "pkgs": packages} for each, packages in zip(case["repos"], rows, strict=True)]
    return {**case, "repos": repositories, "installed": []}


def _items(case: Case) -> list[str]:
    return [word for word in case["args"][1:] if not word.startswith("-")]


def _listed(case: Case) -> list[Listed]:
    found: dict[bytes, Listed] = {}
    for number, (repository, each) in enumerate(zip(case["repos"], made_up(case).repositories, strict=True)):
        for record in each.records:  # type: ignore[union-attr]
            tag = repository["tag"]
            before = found.get(record.identity)
            if before is None:
                found[record.identity] = Listed(record, number, frozenset({tag} if tag else ()))
            elif before.tags:
                found[record.identity] = before._replace(tags=before.tags | {tag} if tag else frozenset())
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
