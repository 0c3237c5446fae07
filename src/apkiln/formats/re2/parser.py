"""RE2 syntax to a tree (the documented grammar; no back-references, no look-around, which have no linear matcher)."""

from __future__ import annotations

from dataclasses import dataclass, field

from apkiln.core.errors import FormatError
from apkiln.formats.re2.nodes import Alternatives, Assertion, Characters, Group, Node, Ranges, Repetition, Sequence

MAXIMUM_PATTERN = 10_000
"""Characters of a pattern."""
MAXIMUM_REPETITION = 1000
"""Largest number in `{n,m}`; RE2's own limit."""
MAXIMUM_DEPTH = 100
"""Groups inside each other."""

_LAST = 0x10FFFF
_DIGIT: Ranges = ((48, 57),)
_SPACE: Ranges = ((9, 10), (12, 13), (32, 32))
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_CLASSES = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": _DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": _WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
_ESCAPES = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_ASSERTIONS = {"A": "begin", "z": "end", "b": "word", "B": "no-word"}


@dataclass(frozen=True, slots=True)
class Flags:
    """`(?ims U)` at one place of the pattern."""

    ignore_case: bool = False
    multi_line: bool = False
    dot_all: bool = False
    ungreedy: bool = False


@dataclass(slots=True)
class Parser:
    """Reads one pattern; `run` once."""

    pattern: str
    position: int = 0
    groups: int = 0
    names: dict[str, int] = field(default_factory=dict)
    """Group names to numbers."""
    flags: Flags = field(default_factory=Flags)
    depth: int = 0

    def run(self) -> Node:
        """The tree.  Raises FormatError `bad-regular-expression` with the offset in characters."""
        if len(self.pattern) > MAXIMUM_PATTERN:
            raise self._error(f"longer than {MAXIMUM_PATTERN} characters")
        node = self._alternatives()
        if self.position < len(self.pattern):
            raise self._error("`)` without `(`")
        return node

    def _error(self, message: str) -> FormatError:
        shown = f"`{self.pattern[:80]}` is no regular expression: {message} at character {self.position + 1}"
        return FormatError(shown, reason="bad-regular-expression")

    def _peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def _accept(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.position)
        self.position += len(text) if found else 0
        return found

    def _alternatives(self) -> Node:
        outer = self.flags
        items = [self._sequence()]
        while self._accept("|"):
            items.append(self._sequence())
        self.flags = outer
        return items[0] if len(items) == 1 else Alternatives(tuple(items))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            item = self._atom()
            if item is not None:
                items.append(self._repeated(item))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _repeated(self, node: Node) -> Node:
        before = self.position
        bounds = self._bounds()
        if bounds is None:
            return node
        lazy = self._accept("?")
        if self._bounds() is not None:
            self.position = before
            raise self._error("a repetition of a repetition")
        if isinstance(node, Assertion) and bounds[1] == -1:
            bounds = (min(bounds[0], 1), 1)
        return Repetition(node, bounds[0], bounds[1], lazy == self.flags.ungreedy)

    def _bounds(self) -> tuple[int, int] | None:
        for mark, bounds in (("*", (0, -1)), ("+", (1, -1)), ("?", (0, 1))):
            if self._accept(mark):
                return bounds
        end = self.pattern.find("}", self.position) if self._peek() == "{" else -1
        low, comma, high = self.pattern[self.position + 1 : end].partition(",") if end >= 0 else ("", "", "")
        if not low.isdecimal() or not low.isascii() or not (high == "" or (high.isdecimal() and high.isascii())):
            return None
        least, most = int(low[:5]), int(high[:5]) if high else (-1 if comma else int(low[:5]))
        if max(least, most) > MAXIMUM_REPETITION or -1 < most < least:
            raise self._error(f"a bad count `{{{low}{comma}{high}}}`")
        self.position = end + 1
        return least, most

    def _atom(self) -> Node | None:
        """One item; None for a group that only sets flags."""
        char = self._peek()
        if char in "*+?" or (char == "{" and self._bounds() is not None):
            raise self._error("nothing to repeat")
        self.position += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._set()
        if char == "\\":
            return self._escape()
        if char == ".":
            return Characters(() if self.flags.dot_all else ((10, 10),), negated=True)
        if char == "^":
            return Assertion("line-begin" if self.flags.multi_line else "begin")
        if char == "$":
            return Assertion("line-end" if self.flags.multi_line else "end")
        return self._literal(ord(char))

    def _literal(self, code: int) -> Characters:
        return Characters(self._folded(((code, code),)))

    def _folded(self, ranges: Ranges) -> Ranges:
        """The ranges with both cases of each letter, where case does not count."""
        if not self.flags.ignore_case:
            return ranges
        both: list[tuple[int, int]] = list(ranges)
        for low, high in ranges:
            for code in range(low, min(high, low + 1000) + 1):
                both += [(ord(other), ord(other)) for other in (chr(code).lower(), chr(code).upper()) if len(other) == 1]
        return tuple(both)

    def _group(self) -> Node | None:
        outer = self.flags
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            raise self._error(f"groups deeper than {MAXIMUM_DEPTH}")
        number = 0
        if not self._accept("?"):
            number = self._new_group("")
        elif self._accept("P<") or self._accept("<"):
            number = self._new_group(self._name())
        elif not self._accept(":") and self._read_flags():
            self.depth -= 1
            return None
        body = self._alternatives()
        if not self._accept(")"):
            raise self._error("a missing `)`")
        self.flags, self.depth = outer, self.depth - 1
        return Group(number, body) if number else body

    def _new_group(self, name: str) -> int:
        self.groups += 1
        if name:
            self.names[name] = self.groups
        return self.groups

    def _name(self) -> str:
        end = self.pattern.find(">", self.position)
        name = self.pattern[self.position : end] if end >= 0 else ""
        if not name.isidentifier() or not name.isascii() or name in self.names:
            raise self._error("look-behind or a bad group name")
        self.position = end + 1
        return name

    def _read_flags(self) -> bool:
        """`i-s:` sets flags for the group (False), `i)` for what follows in the group around it (True)."""
        changes: dict[str, bool] = {}
        value, names = True, {"i": "ignore_case", "m": "multi_line", "s": "dot_all", "U": "ungreedy"}
        while (char := self._peek()) not in (":", ")"):
            self.position += 1
            if char == "-" and value:
                value = False
            elif char in names:
                changes[names[char]] = value
            else:
                self.position -= 1
                raise self._error("a group that RE2 does not have (look-around and back-references are not supported)")
        self.flags = Flags(**{name: changes.get(name, getattr(self.flags, name)) for name in names.values()})
        self.position += 1
        return char == ")"

    def _escape(self) -> Node:
        char = self._peek()
        self.position += 1
        if char == "Q":
            return self._quoted()
        if char in _ASSERTIONS:
            return Assertion(_ASSERTIONS[char])
        if char.lower() in _CLASSES:
            return Characters(_CLASSES[char.lower()], negated=char.isupper())
        return self._literal(self._escaped_code(char))

    def _quoted(self) -> Node:
        r"""The literal text up to `\E`, or to the end."""
        end = self.pattern.find("\\E", self.position)
        text = self.pattern[self.position : end] if end >= 0 else self.pattern[self.position :]
        self.position = end + 2 if end >= 0 else len(self.pattern)
        return Sequence(tuple(self._literal(ord(char)) for char in text))

    def _escaped_code(self, char: str) -> int:
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char == "x":
            return self._hexadecimal()
        if char == "0" or (char in "1234567" and self._peek() in tuple("01234567") and char != ""):
            digits = char
            while len(digits) < 3 and self._peek() in tuple("01234567"):
                digits += self._peek()
                self.position += 1
            return int(digits, 8)
        if char and char.isascii() and not char.isalnum():
            return ord(char)
        self.position -= 1
        raise self._error(f"`\\{char}` has no meaning in RE2")

    def _hexadecimal(self) -> int:
        if self._accept("{"):
            end = self.pattern.find("}", self.position)
            digits, after = self.pattern[self.position : end] if end >= 0 else "", end + 1
        else:
            digits, after = self.pattern[self.position : self.position + 2], self.position + 2
        if not digits or len(digits) > 6 or set(digits) - set("0123456789abcdefABCDEF") or int(digits, 16) > _LAST:
            raise self._error("a bad hexadecimal number")
        self.position = after
        return int(digits, 16)

    def _set(self) -> Node:
        negated = self._accept("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            if not self._peek():
                raise self._error("a missing `]`")
            ranges += self._set_item()
        self.position += 1
        return Characters(self._folded(tuple(ranges)), negated)

    def _set_item(self) -> Ranges:
        if self._accept("[:"):
            return self._posix()
        if self._peek() == "\\" and self.pattern[self.position + 1 : self.position + 2].lower() in ("d", "s", "w"):
            char = self.pattern[self.position + 1]
            self.position += 2
            return _inverted(_CLASSES[char.lower()]) if char.isupper() else _CLASSES[char]
        low = self._set_code()
        if self._peek() == "-" and self.pattern[self.position + 1 : self.position + 2] not in ("]", ""):
            self.position += 1
            high = self._set_code()
            if high < low:
                raise self._error("a range that runs backwards")
            return ((low, high),)
        return ((low, low),)

    def _set_code(self) -> int:
        char = self._peek()
        self.position += 1
        if char != "\\":
            return ord(char)
        escaped = self._peek()
        self.position += 1
        return self._escaped_code(escaped)

    def _posix(self) -> Ranges:
        end = self.pattern.find(":]", self.position)
        name = self.pattern[self.position : end] if end >= 0 else ""
        ranges = _POSIX.get(name.removeprefix("^"))
        if ranges is None:
            raise self._error("an unknown class")
        self.position = end + 2
        return _inverted(ranges) if name.startswith("^") else ranges


def _inverted(ranges: Ranges) -> Ranges:
    found, start = [], 0
    for low, high in sorted(ranges):
        if start < low:
            found.append((start, low - 1))
        start = max(start, high + 1)
    return (*found, (start, _LAST)) if start <= _LAST else tuple(found)
