"""Which of two candidates of one name is better (spec apk.md §10.4)."""

from __future__ import annotations

from apkiln.solver.request import Wish
from apkiln.solver.universe import UNTAGGED, Name, Provide

UPGRADE = int(Wish.UPGRADE)
AVAILABLE = int(Wish.AVAILABLE)
REINSTALL = int(Wish.REINSTALL)
LATEST = int(Wish.LATEST)
REMOVE = int(Wish.REMOVE)
KEEP = int(Wish.KEEP)

_NO_REPOSITORY = -1
"""An installed package that no repository has comes before all repositories."""


def is_better(a: Provide, b: Provide, name: Name) -> bool:
    """Whether `a` is strictly preferred to `b`; False on a tie, where the one listed first stays."""
    return compare(a, b, name) > 0


def compare(a: Provide, b: Provide, name: Name) -> int:
    """Positive when `a` is preferred to `b`.  The rows of §10.4, first difference wins."""
    one, two = a.candidate, b.candidate
    wish = one.wish | two.wish
    if wish & LATEST and one.allowed_tags == two.allowed_tags == UNTAGGED:
        order = _sign(one.tag_allowed, two.tag_allowed)
        if not order and wish & AVAILABLE:
            order = _sign(one.available, two.available)
        elif not order and wish & REINSTALL:
            order = _sign(one.selectable, two.selectable)
        return order or _by_version(a, b, wish)
    order = (
        _sign(one.selectable, two.selectable)
        or _sign(one.counted, two.counted)
        or _sign(two.conflicts, one.conflicts)
        or (_sign(_is_installed(a), _is_installed(b)) if wish & KEEP else 0)
        or _sign(one.tag_allowed, two.tag_allowed)
        or (_sign(one.available, two.available) if wish & AVAILABLE else 0)
        or _sign(one.tag_preferred, two.tag_preferred)
    )
    if not order and not wish & (UPGRADE | REMOVE) and not _both_shared(a, b):
        order = _sign(_is_installed(a), _is_installed(b))
    return order or _by_version(a, b, wish)


def _by_version(a: Provide, b: Provide, wish: int) -> int:
    one, two = a.candidate, b.candidate
    order = _sign(a.key, b.key)
    if not order and one.name == two.name:
        order = _sign(one.key, two.key)
    order = order or _sign(one.priority, two.priority)
    if not order and not wish & REMOVE:
        order = _sign(_is_installed(a), _is_installed(b))
    return order or _sign(one.selectable, two.selectable) or _sign(_first_repository(b), _first_repository(a))


def precedes(a: Provide, b: Provide) -> bool:
    """Whether `a` is strictly preferred to `b` by what the two say of themselves: rows 9, 10, 11 and 14."""
    one, two = a.candidate, b.candidate
    order = _sign(a.key, b.key)
    if not order and one.name == two.name:
        order = _sign(one.key, two.key)
    return (order or _sign(one.priority, two.priority) or _sign(_first_repository(b), _first_repository(a))) > 0


def _both_shared(a: Provide, b: Provide) -> bool:
    return a.candidate.name != b.candidate.name and not a.version and not b.version


def _is_installed(provide: Provide) -> bool:
    return provide.candidate.installed is not None


def _first_repository(provide: Provide) -> int:
    places = provide.candidate.repositories
    return places[0][0] if places else _NO_REPOSITORY


def _sign(a: int | bytes, b: int | bytes) -> int:
    return (a > b) - (a < b)  # type: ignore[operator]
