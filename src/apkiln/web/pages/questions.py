"""What a visitor asks for in the query of a page, and parts of long lists.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl

T = TypeVar("T")
_MOST_FIELDS = 20
_LONGEST = 2_000


class Question(NamedTuple):
    """The fields of a query; a field that came twice has its first value."""

    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        """ "" when it is not there."""
        return self.fields.get(name, "").strip()

    def number(self, name: str, usual: int = 0) -> int | None:
        """None when it is not a number."""
        return number_of(self.fields.get(name) or str(usual))


class Excerpt(NamedTuple):
    """One page of a list."""

    page: int
    """From 1."""
    pages: int
    """At least 1."""
    total: int
    """Items of the whole list."""
    start: int
    """How many items are before this page."""
    size: int
    """Items of a full page."""

    @property
    def is_there(self) -> bool:
        return 1 <= self.page <= self.pages

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """The items of this page."""
        return items[self.start : self.start + self.size]


def question_of(query: bytes) -> Question | None:
    """The fields of a raw query; None for one that is too long or has too many."""
    if len(query) > _LONGEST:
        return None
    try:
        pairs = parse_qsl(query.decode("ascii", "replace"), max_num_fields=_MOST_FIELDS, errors="replace")
    except ValueError:
        return None
    return Question(dict(reversed(pairs)))


def number_of(text: str) -> int | None:
    """A number as people write it: digits, not too many; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def excerpt(question: Question, total: int, size: int) -> Excerpt:
    """The page that a question asks for (field `page`); it need not be there."""
    page = question.number("page", 1)
    number = 0 if page is None else page
    return Excerpt(number, max(1, -(-total // size)), total, (number - 1) * size, size)
