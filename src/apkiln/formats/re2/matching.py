"""Leftmost-first matching with every (instruction, position) tried once: linear in pattern times text."""

from __future__ import annotations

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.re2.nodes import Alternatives, Assertion, Characters, Group, Node, Repetition, Sequence
from apkiln.formats.re2.parser import Parser

MAXIMUM_PROGRAM = 20_000
"""Instructions of one expression, counted repetitions written out."""
MAXIMUM_WORK = 20_000_000
"""Instructions times characters of one search."""


class _Instruction(NamedTuple):
    kind: str
    """`char`, `assert`, `save`, `split`, `jump` or `match`."""
    first: int = 0
    """Where to go on; the slot for `save`."""
    second: int = 0
    """The other way of `split`, tried after the first."""
    item: Characters | Assertion | None = None


class Match(NamedTuple):
    """Where an expression was found: start and end per group, -1 where a group took no part; group 0 is the whole."""

    text: str
    places: tuple[int, ...]

    @property
    def start(self) -> int:
        return self.places[0]

    @property
    def end(self) -> int:
        return self.places[1]

    def group(self, number: int) -> str:
        """The text of a group; empty where it took no part or does not exist."""
        if not 0 <= 2 * number < len(self.places) or self.places[2 * number] < 0:
            return ""
        return self.text[self.places[2 * number] : self.places[2 * number + 1]]


class Expression:
    """A compiled expression.  Immutable after construction."""

    def __init__(self, pattern: str) -> None:
        """Raises FormatError `bad-regular-expression`, also for one whose counted repetitions grow too large."""
        parser = Parser(pattern)
        tree = parser.run()
        self.pattern = pattern
        self.groups = parser.groups
        self.names = dict(parser.names)
        self._program: list[_Instruction] = []
        self._emit(tree)
        self._add(_Instruction("match"))

    def search(self, text: str, start: int = 0) -> Match | None:
        """The first match at or behind `start`, earlier alternatives preferred.  FormatError `regular-expression-work`."""
        if len(self._program) * (len(text) + 1) > MAXIMUM_WORK:
            message = f"matching `{self.pattern[:80]}` against {len(text)} characters takes too long"
            raise FormatError(message, reason="regular-expression-work")
        tried: set[int] = set()
        for position in range(start, len(text) + 1):
            places = self._run(text, position, tried)
            if places is not None:
                return Match(text, places)
        return None

    def _run(self, text: str, position: int, tried: set[int]) -> tuple[int, ...] | None:
        program, width = self._program, len(text) + 1
        slots: list[int] = [position, -1] + [-1] * (2 * self.groups)
        stack: list[tuple[int, int, int]] = [(0, position, -1)]  # instruction, position, and -1 or the slot to give back
        while stack:
            at, position, slot = stack.pop()
            if slot >= 0:
                slots[slot] = position
                continue
            while True:
                key = at * width + position
                if key in tried:
                    break
                tried.add(key)
                step = program[at]
                if step.kind == "char":
                    if position >= len(text) or not step.item.contains(ord(text[position])):  # type: ignore[union-attr]
                        break
                    at, position = at + 1, position + 1
                elif step.kind == "split":
                    stack.append((step.second, position, -1))
                    at = step.first
                elif step.kind == "jump":
                    at = step.first
                elif step.kind == "save":
                    stack.append((0, slots[step.first], step.first))
                    slots[step.first] = position
                    at += 1
                elif step.kind == "assert":
                    if not _holds(step.item.kind, text, position):  # type: ignore[union-attr]
                        break
                    at += 1
                else:
                    slots[1] = position
                    return tuple(slots)
        return None

    def _add(self, instruction: _Instruction) -> int:
        if len(self._program) >= MAXIMUM_PROGRAM:
            raise FormatError(f"`{self.pattern[:80]}` repeats too much", reason="bad-regular-expression")
        self._program.append(instruction)
        return len(self._program) - 1

    def _emit(self, node: Node) -> None:
        if isinstance(node, Characters):
            self._add(_Instruction("char", item=node))
        elif isinstance(node, Assertion):
            self._add(_Instruction("assert", item=node))
        elif isinstance(node, Sequence):
            for item in node.items:
                self._emit(item)
        elif isinstance(node, Group):
            self._add(_Instruction("save", 2 * node.number))
            self._emit(node.body)
            self._add(_Instruction("save", 2 * node.number + 1))
        elif isinstance(node, Alternatives):
            self._emit_alternatives(node.items)
        else:
            self._emit_repetition(node)

    def _emit_alternatives(self, items: tuple[Node, ...]) -> None:
        ends = []
        for item in items[:-1]:
            split = self._add(_Instruction("split"))
            self._emit(item)
            ends.append(self._add(_Instruction("jump")))
            self._program[split] = _Instruction("split", split + 1, len(self._program))
        self._emit(items[-1])
        for end in ends:
            self._program[end] = _Instruction("jump", len(self._program))

    def _emit_repetition(self, node: Repetition) -> None:
        for _ in range(node.least):
            self._emit(node.body)
        if node.most == -1:
            split = self._add(_Instruction("split"))
            self._emit(node.body)
            self._add(_Instruction("jump", split))
            self._fork(split, len(self._program), node.greedy)
            return
        splits = []
        for _ in range(node.most - node.least):
            splits.append(self._add(_Instruction("split")))
            self._emit(node.body)
        for split in splits:
            self._fork(split, len(self._program), node.greedy)

    def _fork(self, split: int, end: int, greedy: bool) -> None:
        first, second = (split + 1, end) if greedy else (end, split + 1)
        self._program[split] = _Instruction("split", first, second)


def _holds(kind: str, text: str, position: int) -> bool:
    if kind == "begin":
        return position == 0
    if kind == "end":
        return position == len(text)
    if kind == "line-begin":
        return position == 0 or text[position - 1] == "\n"
    if kind == "line-end":
        return position == len(text) or text[position] == "\n"
    border = _is_word(text, position - 1) != _is_word(text, position)
    return border == (kind == "word")


def _is_word(text: str, position: int) -> bool:
    return 0 <= position < len(text) and ((text[position].isascii() and text[position].isalnum()) or text[position] == "_")
