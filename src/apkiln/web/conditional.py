"""Conditional and range requests, decided (RFC 9110 §13, §14; spec repository.md §10.1): pure."""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

_RANGE = re.compile(r"bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*")


class Requested(NamedTuple):
    """The headers that matter, each "" when absent."""

    if_none_match: str = ""
    if_modified_since: str = ""
    range: str = ""
    if_range: str = ""


class Part(NamedTuple):
    """Which bytes go out, and under which status."""

    status: int
    """200, 206, 304 or 416."""
    start: int = 0
    end: int = 0
    """Exclusive."""


def part_of(requested: Requested, size: int, etag: str, modified: int) -> Part:
    """What to send of a representation of `size` bytes; `etag` with quotes, `modified` in Unix seconds (0 = not known)."""
    if _is_unchanged(requested, etag, modified):
        return Part(304)
    if requested.range and _range_counts(requested.if_range, etag, modified):
        match = _RANGE.fullmatch(requested.range)
        if match is not None and any(match.groups()):  # several ranges and foreign units: the whole body
            return _range(match.group(1), match.group(2), size)
    return Part(200, 0, size)


def _range(first: str, last: str, size: int) -> Part:
    if len(first) > 18 or len(last) > 18:
        return Part(416)
    if not first:
        wanted = int(last)
        return Part(206, max(0, size - wanted), size) if wanted and size else Part(416)
    start, end = int(first), min(int(last) + 1 if last else size, size)
    if last and int(last) < start:
        return Part(200, 0, size)  # not a range at all
    return Part(206, start, end) if start < size else Part(416)


def _is_unchanged(requested: Requested, etag: str, modified: int) -> bool:
    if requested.if_none_match:
        known = [item.strip().removeprefix("W/") for item in requested.if_none_match.split(",")]
        return "*" in known or etag in known
    since = _seconds(requested.if_modified_since)
    return bool(modified and since is not None and modified <= since)


def _range_counts(if_range: str, etag: str, modified: int) -> bool:
    if not if_range:
        return True
    if if_range.startswith(('"', "W/")):
        return if_range == etag
    return bool(modified) and _seconds(if_range) == modified


def _seconds(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, OverflowError, TypeError):
        return None


def http_date(seconds: int) -> str:
    """The form of `Last-Modified`."""
    return formatdate(seconds, usegmt=True)
