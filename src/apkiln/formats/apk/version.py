"""Versions: grammar, order and prefix match (spec apk.md §8).

    digits ( "." digits )* [a-z]? ( "_" suffix digits* )* ( "~" hex+ )? ( "-r" digits+ )?

The order is a strict weak order: `sort_key` maps a version to bytes whose plain comparison is the order (§8.4), so keys may
be stored in tables and scanned by range.  Equal keys do not mean equal texts (`1-r0`, `1-r00`); identity is always the text.
"""

from __future__ import annotations

import re
from functools import lru_cache

from apkiln.core.pattern import pattern

_PREFIX = pattern(
    r"([0-9]+)((?:\.[0-9]+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)(?![a-z])[0-9]*)*)(~[0-9a-f]+)?(-r[0-9]+)?"
)
_SUFFIX = pattern(r"_([a-z]+)([0-9]*)")
_SUFFIX_PARTS = {name: bytes((0, rank)) for rank, name in enumerate(("alpha", "beta", "pre", "rc"))} | {
    name: bytes((6, rank)) for rank, name in enumerate(("cvs", "svn", "git", "hg", "p"))
}
_MODULUS = 1 << 64
_END = b"\x02"
_INVALID = b"\x01"
_MEMO = 1 << 16

SAFE_DIGITS = 18
"""Numbers with more digits may wrap modulo 2^64 in apk: writers and publishers refuse them (§8.2)."""


def is_valid(text: str) -> bool:
    """Whether `text` follows the grammar as a whole.  The empty version of an unversioned provide is not valid."""
    return _PREFIX.fullmatch(text) is not None


def has_wide_number(text: str) -> bool:
    """Whether a number in `text` has more than `SAFE_DIGITS` digits: readers warn, writers refuse."""
    return any(len(digits) > SAFE_DIGITS for digits in re.findall(r"[0-9]+", text))


@lru_cache(maxsize=_MEMO)
def sort_key(text: str) -> bytes:
    """Bytes that order like versions: `sort_key(a) < sort_key(b)` exactly when a is lower than b.

    Every token is self-delimiting.  What follows a valid prefix is ignored: `1.0_foo` and `1.0_bar` have one key, just below
    `1.0`; the empty version and a wholly invalid one have the lowest key there is.
    """
    matched = _PREFIX.match(text)
    if matched is None:
        return _INVALID
    first, numbers, letter, suffixes, commit, revision = matched.groups()
    parts = [b"\x09", _number(first)]
    parts += [_later_number(digits) for digits in numbers.split(".")[1:]]
    if letter:
        parts.append(b"\x07" + letter.encode())
    for name, digits in _SUFFIX.findall(suffixes):
        parts.append(_SUFFIX_PARTS[name])
        if digits:
            parts.append(b"\x05" + _number(digits))
    if commit:
        parts.append(b"\x04" + commit[1:].encode() + b"\x00")
    if revision:
        parts.append(b"\x03" + _number(revision[2:]))
    parts.append(_END if matched.end() == len(text) else _INVALID)
    return b"".join(parts)


def _number(digits: str) -> bytes:
    """A length byte and the digits without leading zeros; modulo 2^64, as apk's own arithmetic wraps (§8.2)."""
    text = b"%d" % (_wrapped(digits) if len(digits) > SAFE_DIGITS else int(digits))
    return bytes((len(text),)) + text


def _wrapped(digits: str) -> int:
    """A number of any length modulo 2^64; linear, and without Python's limit on the digits of a number."""
    value = 0
    for begin in range(0, len(digits), SAFE_DIGITS):
        part = digits[begin : begin + SAFE_DIGITS]
        value = (value * 10 ** len(part) + int(part)) % _MODULUS
    return value


def _later_number(digits: str) -> bytes:
    """A component after a dot: with a leading zero it compares as text, and below every one without."""
    if digits[0] == "0":
        return b"\x08\x01" + digits.encode() + b"\x00"
    return b"\x08\x02" + _number(digits)


def compare(a: str, b: str) -> int:
    """-1, 0 or 1 as `a` is lower than, equal to or higher than `b`.  Total: invalid texts compare by their valid prefix."""
    key_a, key_b = sort_key(a), sort_key(b)
    return (key_a > key_b) - (key_a < key_b)


def is_prefix(version: str, wanted: str) -> bool:
    """The `~` match: the tokens of `wanted` are the first tokens of `version` (§8.2).  An invalid `wanted` matches its equals."""
    key = sort_key(wanted)
    if key[-1:] == _END:
        return sort_key(version).startswith(key[:-1])
    return sort_key(version) == key


def matches(version: str, operator: str, wanted: str) -> bool:
    """Whether a provided `version` (empty = unversioned) meets `operator wanted`, operators as in `dependency.Dependency`.

    `><` is a question about identities, not versions: ValueError.
    """
    match operator:
        case "":
            return True
        case "=":
            return sort_key(version) == sort_key(wanted)
        case "<":
            return sort_key(version) < sort_key(wanted)
        case "<=":
            return sort_key(version) <= sort_key(wanted)
        case ">":
            return sort_key(version) > sort_key(wanted)
        case ">=":
            return sort_key(version) >= sort_key(wanted)
        case "~":
            return is_prefix(version, wanted)
        case "<~":
            return sort_key(version) < sort_key(wanted) or is_prefix(version, wanted)
        case ">~":
            return sort_key(version) > sort_key(wanted) or is_prefix(version, wanted)
    raise ValueError(f"`{operator}` does not compare versions")
