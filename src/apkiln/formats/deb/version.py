"""Debian version numbers and their order (Debian Policy 5.6.12; spec debian.md §4)."""

from __future__ import annotations

import re
from functools import lru_cache

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple

MAXIMUM_LENGTH = 512
"""Characters of one version; the longest in the archive has under 100."""

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_EPOCH = re.compile(r"[0-9]{1,9}")
_UPSTREAM = re.compile(r"[0-9A-Za-z.+~:-]+")
_REVISION = re.compile(r"[0-9A-Za-z.+~]+")
_END = "\x01"
_END_PAIR = (_END, (0, ""))

Pair = tuple[str, tuple[int, str]]
SortKey = tuple[int, tuple[Pair, ...], tuple[Pair, ...]]


class DebianVersion(NamedTuple):
    """`[epoch:]upstream[-revision]` taken apart.  Compare with `sort_key`, not field by field."""

    epoch: int
    upstream: str
    revision: str
    """Empty when absent, which Debian treats as `0`."""


@lru_cache(maxsize=65536)
def parse_version(text: str) -> DebianVersion:
    """Take a version apart.  Raises FormatError (`version-syntax`) on empty parts, foreign characters, a bad epoch.

    An upstream part that does not start with a digit is accepted: dpkg only warns, and such versions exist.
    """
    head, colon, rest = text.partition(":")
    epoch, body = (head, rest) if colon else ("0", text)
    upstream, dash, revision = body.rpartition("-") if "-" in body else (body, "", "")
    valid = (
        len(text) <= MAXIMUM_LENGTH
        and _EPOCH.fullmatch(epoch) is not None
        and _UPSTREAM.fullmatch(upstream) is not None
        and (not dash or _REVISION.fullmatch(revision) is not None)
    )
    if not valid:
        raise FormatError(f"`{text[:80]}` is not a Debian version", reason="version-syntax")
    return DebianVersion(int(epoch), upstream, revision)


def is_valid(text: str) -> bool:
    """Whether `parse_version` accepts the text."""
    try:
        parse_version(text)
    except FormatError:
        return False
    return True


@lru_cache(maxsize=65536)
def sort_key(text: str) -> SortKey:
    """A key with plain tuple order equal to Debian's order; equal keys = Debian-equal versions (`1.0`, `1.0-0`, `1.00`).

    Raises FormatError (`version-syntax`).
    """
    version = parse_version(text)
    return (version.epoch, _part_key(version.upstream), _part_key(version.revision))


def compare(left: str, right: str) -> int:
    """-1, 0 or 1.  Raises FormatError (`version-syntax`)."""
    first, second = sort_key(left), sort_key(right)
    return (first > second) - (first < second)


def matches(version: str, operator: str, wanted: str) -> bool:
    """Whether `version` satisfies `operator wanted`; operators `<<` `<=` `=` `>=` `>>`, or "" (always true)."""
    if not operator:
        return True
    order = compare(version, wanted)
    return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[operator]


def _part_key(text: str) -> tuple[Pair, ...]:
    # Alternating non-digit and digit runs.  A run ends with a mark that sorts above `~` and below everything else; trailing
    # empty pairs are dropped because dpkg treats a missing run as empty and a missing number as zero.  Two are put back: the
    # very first pair of a text may be empty too (`0~`), and the end must still meet the pair after it.
    pairs = [(_encode(word), _number(digits)) for word, digits in _PARTS.findall(text)]
    while pairs and pairs[-1] == _END_PAIR:
        pairs.pop()
    return (*pairs, _END_PAIR, _END_PAIR)


def _encode(word: str) -> str:
    if not word:
        return _END
    return "".join("\x00" if char == "~" else char if char.isalpha() else chr(ord(char) + 256) for char in word) + _END


def _number(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")
    return (len(significant), significant)
