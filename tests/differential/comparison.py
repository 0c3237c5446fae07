"""Where the product and apk agree on a case, and whether what the product says beyond apk is right."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.conformance.suites.apk_random import Answer, answer, check_answer, free_order, made_up

Case = dict[str, Any]

AGREE = "agree"
BOTH_REFUSE = "both refuse"
SOLVED = "solved where apk refuses"
FREE_ORDER = "order without a rule"
ORDER = "order differs"
SET = "set differs"
REFUSED = "refused what apk solves"
ACCEPTED = "strict mode solves what apk refuses"
INVALID = "invalid answer"
BY_DESIGN = "differs by design"

DISAGREEMENTS = (SET, REFUSED, ACCEPTED, INVALID, ORDER)


class Verdict(NamedTuple):
    """The comparison of one case."""

    outcome: str
    detail: str = ""

    @property
    def disagrees(self) -> bool:
        return self.outcome in DISAGREEMENTS


def compare(case: Case) -> Verdict:
    """`case` holds apk's answer.  Strict mode is compared in the verdict, the ordinary mode in all that apk solves."""
    problem = made_up(case)
    strict = answer(case, problem, strict=True)
    plain = answer(case, problem, strict=False)
    if case["refused"]:
        if not strict.refused:
            return Verdict(ACCEPTED, _text(strict.changes))
        if plain.solution is None:
            return Verdict(BOTH_REFUSE)
        violations = check_answer(plain.solution, problem)
        return Verdict(INVALID, str(violations)) if violations else Verdict(SOLVED)
    for got in (strict, plain):
        found = _against(case, got)
        if found.outcome == ORDER and got.solution is not None and free_order(got.solution, _wanted(case), problem):
            return Verdict(FREE_ORDER, found.detail)
        if found.outcome != AGREE:
            return found
    return Verdict(AGREE)


def _wanted(case: Case) -> list[Any]:
    changes: list[Any] = case["apk"]["changes"]
    return changes


def _against(case: Case, got: Answer) -> Verdict:
    wanted = _wanted(case)
    shown = f"apk: {_text(wanted)} | here: {_text(got.changes)} {got.reason}"
    if got.refused:
        return Verdict(REFUSED, shown)
    if got.changes == wanted:
        return Verdict(AGREE)
    same = sorted(map(json.dumps, got.changes)) == sorted(map(json.dumps, wanted))
    return Verdict(ORDER if same else SET, shown)


def _text(rows: list[Any]) -> str:
    return "; ".join(" ".join(str(part) for part in row if part is not None) for row in rows) or "nothing"
