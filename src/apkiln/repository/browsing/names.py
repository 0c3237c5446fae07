"""Names in order, for lists in pages and for search over descriptions; both change by single names.

`SearchTable` keeps names in blocks.  A block has the text of all its names in one string, so that a word is looked for in
all of them at once, and only blocks that have it are looked at name by name.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

MOST_LETTERS = 200
"""Of a question; what is longer is cut."""
MOST_WORDS = 8
_BLOCK = 512


class SortedNames:
    """A set of names in order (by code point).  A change costs a move of the list, about 50 µs at 100,000 names."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._members = set(names)
        self._order = sorted(self._members)

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def add(self, name: str) -> None:
        """No difference when it is there."""
        if name not in self._members:
            self._members.add(name)
            self._order.insert(bisect_left(self._order, name), name)

    def discard(self, name: str) -> None:
        """No difference when it is not there."""
        if name in self._members:
            self._members.remove(name)
            del self._order[bisect_left(self._order, name)]

    def part(self, start: int, count: int) -> Sequence[str]:
        """Names from a position on."""
        return self._order[start : start + count]


class _Block:
    """Neighbours in name order."""

    __slots__ = ("haystack", "lines", "names")

    def __init__(self, names: list[str], lines: list[str]) -> None:
        self.names = names
        self.lines = lines
        """What is searched, in lower case, one for each name."""
        self.haystack = "\n".join(lines)
        """All lines together; empty = to be made anew."""

    def has(self, words: Sequence[str]) -> bool:
        if not self.haystack:
            self.haystack = "\n".join(self.lines)
        return all(word in self.haystack for word in words)


class SearchTable:
    """Names with the text they are found by."""

    def __init__(self, rows: Iterable[tuple[str, str]] = ()) -> None:
        """`rows`: name and text, every name once."""
        ordered = iter(sorted(rows))
        self._blocks: list[_Block] = []
        while part := list(islice(ordered, _BLOCK)):
            self._blocks.append(_Block([name for name, _ in part], [_line(*row) for row in part]))

    def __len__(self) -> int:
        return sum(len(block.names) for block in self._blocks)

    def put(self, name: str, text: str) -> None:
        """Add a name, or change its text."""
        if not self._blocks:
            self._blocks.append(_Block([name], [_line(name, text)]))
            return
        number = self._place(name)
        block = self._blocks[number]
        position = bisect_left(block.names, name)
        block.haystack = ""
        if position < len(block.names) and block.names[position] == name:
            block.lines[position] = _line(name, text)
            return
        block.names.insert(position, name)
        block.lines.insert(position, _line(name, text))
        if len(block.names) > 2 * _BLOCK:
            self._blocks.insert(number + 1, _Block(block.names[_BLOCK:], block.lines[_BLOCK:]))
            del block.names[_BLOCK:], block.lines[_BLOCK:]

    def _place(self, name: str) -> int:
        return max(0, bisect_right(self._blocks, name, key=lambda block: block.names[0]) - 1)

    def find(self, question: str) -> tuple[str, ...]:
        """Names whose text has every word of the question, in any case.

        First the name that is the question, then names that begin with it, then names that have all words in themselves, then
        the others; each in name order.  Cost: one pass over all text in the worst case.
        """
        words = words_of(question)
        if not words:
            return ()
        ranks: tuple[list[str], ...] = ([], [], [], [])
        for block in self._blocks:
            if block.has(words):
                if len(words) == 1:
                    _rank_one(block, words[0], ranks)
                else:
                    _rank_several(block, words, ranks)
        return tuple(name for rank in ranks for name in rank)


def _rank_one(block: _Block, word: str, ranks: tuple[list[str], ...]) -> None:
    """A line begins with its name and a space, which no word has: the first place of a word tells whether the name has it."""
    size = len(word)
    for name, line in zip(block.names, block.lines, strict=True):
        place = line.find(word)
        if place < 0:
            continue
        if place >= len(name):
            ranks[3].append(name)
        elif place:
            ranks[2].append(name)
        else:
            ranks[0 if size == len(name) else 1].append(name)


def _rank_several(block: _Block, words: Sequence[str], ranks: tuple[list[str], ...]) -> None:
    for name, line in zip(block.names, block.lines, strict=True):
        furthest = -1
        for word in words:
            place = line.find(word)
            if place < 0:
                break
            furthest = max(furthest, place)
        else:
            ranks[2 if furthest < len(name) else 3].append(name)


def words_of(question: str) -> tuple[str, ...]:
    """What is looked for: at most `MOST_WORDS` words in lower case, out of at most `MOST_LETTERS` letters."""
    return tuple(question[:MOST_LETTERS].lower().split()[:MOST_WORDS])


def _line(name: str, text: str) -> str:
    return f"{name} {text}".lower().replace("\n", " ")
