"""The known word a mistyped one most likely means."""

from __future__ import annotations

from collections.abc import Iterable


def distance(one: str, other: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours that turn `one` into `other`; symmetric."""
    before: list[int] = []
    previous = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        current = [i]
        for j, right in enumerate(other, 1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]


def nearest(word: str, known: Iterable[str]) -> str:
    """The closest of `known` (first in order on a tie), or an empty text when none resembles `word`.

    Case and the kind of word separator do not count as differences.
    """
    plain = _plain(word[:64])
    best, best_distance = "", len(plain) // 2 + 1
    for candidate in known:
        found = distance(plain, _plain(candidate))
        if found < best_distance:
            best, best_distance = candidate, found
    return best


def _plain(word: str) -> str:
    return word.lower().replace("_", "-").replace(" ", "-")
