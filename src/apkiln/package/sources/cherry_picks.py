"""Commits to apply on top of a checkout: one a line, `[branch/]commit: comment` (spec package.md §6.1)."""

from __future__ import annotations

import re

from apkiln.core.errors import NOWHERE, ConfigurationError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin

FORM = "[branch/]commit: comment"
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")
_REFERENCE = re.compile(r"(?!-)[^\s~^:?*\[\\\x00-\x1f]+")


class CherryPick(NamedTuple):
    """One commit to apply."""

    commit: str
    comment: str
    branch: str = ""
    """Where the commit is found: a branch, or another ref such as `pull/5/head`; empty = in the history of the checkout."""


def parse_cherry_pick(line: str, origin: Origin = NOWHERE) -> CherryPick | None:
    """One line; None for one that is blank or only a comment after `#`.  ConfigurationError `bad-cherry-pick`."""
    text = line.partition("#")[0].strip()
    if not text:
        return None
    named, colon, comment = text.partition(":")
    branch, _, commit = named.strip().rpartition("/")
    if not colon or not comment.strip():
        raise _fault(f"cherry-pick `{text}` has no comment", origin)
    if not _COMMIT.fullmatch(commit):
        raise _fault(f"cherry-pick `{text}`: `{commit}` is no commit", origin)
    if branch and (not _REFERENCE.fullmatch(branch) or ".." in branch):
        raise _fault(f"cherry-pick `{text}`: `{branch}` is no branch", origin)
    return CherryPick(commit, comment.strip(), branch)


def parse_cherry_picks(text: str, origin: Origin, faults: FaultCollector) -> tuple[CherryPick, ...]:
    """All lines in order; every bad one is a fault."""
    found: list[CherryPick] = []
    for line in text.splitlines():
        try:
            pick = parse_cherry_pick(line, origin)
        except ConfigurationError as error:
            faults.add(error)
        else:
            found += [pick] if pick is not None else []
    return tuple(found)


def _fault(message: str, origin: Origin) -> ConfigurationError:
    return ConfigurationError(message, reason="bad-cherry-pick", origin=origin, hint=f"write `{FORM}`")
