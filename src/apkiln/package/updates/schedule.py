"""How often a definition is looked at: a small file remembers when (spec package.md §3.7, §16)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from apkiln.core import canonical_json
from apkiln.core.errors import FormatError
from apkiln.package.definition.model import Schedule

_DAY = 86_400
_PERIODS = {"daily": _DAY, "weekly": 7 * _DAY, "monthly": 30 * _DAY}
_SLACK = 3600
"""Seconds that a job may start earlier than the last time."""


def is_due(schedule: Schedule | None, last: int | None, now: int) -> bool:
    """Whether the period since the last look is over; always without a schedule."""
    period = _PERIODS.get(schedule.period, 0) if schedule is not None else 0
    return last is None or now - last >= period - _SLACK or now < last


def read_state(content: bytes) -> dict[str, int]:
    """Package name → Unix seconds of the last look.  FormatError `bad-update-state`."""
    try:
        found = json.loads(content)
    except ValueError as error:
        raise FormatError(f"this is no state of update checks: {error}", reason="bad-update-state") from error
    if not isinstance(found, dict) or not all(isinstance(value, int) for value in found.values()):
        raise FormatError("this is no state of update checks", reason="bad-update-state")
    return {str(name): value for name, value in found.items()}


def write_state(state: Mapping[str, int]) -> bytes:
    return canonical_json.encode_pretty(dict(sorted(state.items())))
