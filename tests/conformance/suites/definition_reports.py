"""Judges of reports about writing and changing package definitions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.conformance.suites.image_reports import Unjudged

from apkiln.core.errors import ApkilnError, FaultGroup
from apkiln.package.editing.bumping import bumped, plan_bump
from apkiln.package.editing.looking_up import same_commit
from apkiln.package.sources.cherry_picks import parse_cherry_pick

Row = dict[str, Any]


def _cherry_pick(given: Row, expected: Row) -> str:
    try:
        pick = parse_cherry_pick(given["line"])
    except ApkilnError as error:
        return refused(error, expected)
    if expected.get("error") or pick is None:
        return "accepted" if expected.get("error") else "nothing was read"
    got = {"branch": pick.branch or None, "commit": pick.commit, "comment": pick.comment}
    wrong = {key: got[key] for key, value in expected.items() if got[key] != value}
    return f"{wrong}" if wrong else ""


def _bump(given: Row, expected: Row) -> str:
    """A definition with arguments; expected are values by path, or a refusal."""
    text = given.get("definition") or given.get("yaml")
    if not isinstance(text, str) or not isinstance(given.get("version"), str):
        raise Unjudged(f"bump with {sorted(given)}")
    try:
        plan = plan_bump(text.encode(), "case.yaml", given["version"])
        commit = given.get("expected_commit", "")
        digests = {one.uri: {name: "0" * (64 if name == "sha256" else 128) for name in one.algorithms} for one in plan.downloads}
        edited = bumped(plan, digests, same_commit(plan, commit) if commit else {}).decode()
    except ApkilnError as error:
        return refused(error, expected)
    if expected.get("error"):
        return "accepted"
    found = dict(re.findall(r"^\s*(version|epoch|expected-commit): *[\"']?([^\"'\s]+)", edited, re.MULTILINE))
    known = {key: str(value) for key, value in expected.items() if key in ("version", "epoch", "expected-commit")}
    wrong = {key: found.get(key) for key, value in known.items() if found.get(key) != value}
    return f"{wrong}" if wrong else ""


def refused(error: ApkilnError, expected: Row) -> str:
    """What is wrong with a refusal: not wanted, or its message lacks a word."""
    if not expected.get("error"):
        return f"refused: {error}"
    faults = error.faults if isinstance(error, FaultGroup) else (error,)
    text = "\n".join(f"{fault}\n{fault.hint}" for fault in faults)
    missing = [word for word in expected.get("mentions", ()) if word not in text]
    return f"the message lacks {missing}: {text!r}" if missing else ""


JUDGES: dict[str, Callable[[Row, Row], str]] = {"cherry-pick-line": _cherry_pick, "bump": _bump}
