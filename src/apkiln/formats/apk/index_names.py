"""The names that records of an index provide and mention, unchecked: of one record, and of many at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat

from apkiln.core.named_tuple import NamedTuple
from apkiln.core.pattern import pattern
from apkiln.formats.apk.records import IndexRecord

_UNUSUAL = "!<>~@"
"""Never in a provide as it should be written; apk passes over it all the same."""
_OTHER_SPACE = b"\t\v\f\r\x1c\x1d\x1e\x1f"
"""What separates items in ASCII beside space and line feed."""
_OPERATOR = pattern("[<>=~@]")


class Postings(NamedTuple):
    """Names and the numbers of the records they belong to, side by side, in no order and with repetitions."""

    names: Sequence[bytes]
    numbers: Sequence[int]


def provided_names(record: IndexRecord) -> list[str]:
    """The record's own name and the names of its provides, unchecked, with repetitions."""
    return [record.name, *_names(record.provides)]


def mentioned_name(item: str) -> str:
    """The name a dependency item speaks of, unchecked."""
    operator = _OPERATOR.search(item)
    return (item[: operator.start()] if operator else item).removeprefix("!")


def _names(provides: str) -> list[str]:
    items = provides.split()
    if any(sign in provides for sign in _UNUSUAL):
        return [mentioned_name(item) for item in items]
    return [item.partition("=")[0] for item in items]


def provided_postings(names: Sequence[bytes], provides: Sequence[bytes]) -> Postings:
    """What `provided_names` says of each record, given the names and the provides of all."""
    joined = b"\n".join(provides)
    found = _names(joined.decode("utf-8", "surrogateescape"))
    if not found:
        return Postings(names, range(len(names)))
    counts = _item_counts(provides, len(found), joined)
    numbers = chain(range(len(names)), chain.from_iterable(map(repeat, range(len(names)), counts)))
    return Postings([*names, *"\n".join(found).encode("utf-8", "surrogateescape").split(b"\n")], list(numbers))


def _item_counts(provides: Sequence[bytes], total: int, joined: bytes) -> list[int]:
    """How many items there are in each."""
    if joined.isascii() and not any(space in joined for space in _OTHER_SPACE):
        counts = [items.count(b" ") + 1 if items else 0 for items in provides]
        if sum(counts) == total:  # a count is never too low, so none is too high
            return counts
    return [len(items.decode("utf-8", "surrogateescape").split()) for items in provides]


def mentioned_postings(install_if: Sequence[bytes]) -> Postings:
    """What `mentioned_name` says of each item of each record's install_if, given those of all."""
    names: list[bytes] = []
    numbers: list[int] = []
    for number, items in enumerate(install_if):
        for item in items.decode("utf-8", "surrogateescape").split() if items else ():
            names.append(mentioned_name(item).encode("utf-8", "surrogateescape"))
            numbers.append(number)
    return Postings(names, numbers)
