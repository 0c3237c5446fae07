"""Words of a script as values: known text, one of a few texts, or unknown (XCU 2.6 as far as scripts need it)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import NamedTuple

from apkiln.formats.shell.syntax import Arithmetic, Block, Literal, Parameter, Part, Substitution, Word


class Either(NamedTuple):
    """One of several texts, which branch the script took is not known."""

    texts: tuple[str, ...]


Value = str | Either | None
"""None = unknown."""
MAXIMUM_EITHER = 4

Substitute = Callable[[Block], Value]
"""Output of a command substitution, with the line ends at its end removed."""


class Variables:
    """Variables and positional parameters of a scope."""

    def __init__(self, values: dict[str, Value], positional: tuple[Value, ...], name: str) -> None:
        self.values = values
        self.positional = positional
        self.name = name
        """`$0`."""
        self.status: Value = "0"
        """`$?`."""

    def copy(self) -> Variables:
        other = Variables(dict(self.values), self.positional, self.name)
        other.status = self.status
        return other

    def get(self, name: str) -> Value:
        """Unset variables are empty: the installer's environment is bare but for what is set here."""
        if name.isdigit():
            number = int(name)
            return self.name if number == 0 else self.positional[number - 1] if number <= len(self.positional) else ""
        match name:
            case "#":
                return str(len(self.positional))
            case "@" | "*":
                return None if any(not isinstance(item, str) for item in self.positional) else " ".join(map(str, self.positional))
            case "?":
                return self.status
            case "$" | "!" | "-":
                return None
            case _:
                return self.values.get(name, "")


def merged(one: Value, other: Value) -> Value:
    """A variable after a branch that may or may not have been taken."""
    if one == other:
        return one
    texts = dict.fromkeys((*_texts(one), *_texts(other)))
    known = one is not None and other is not None and len(texts) <= MAXIMUM_EITHER
    return Either(tuple(texts)) if known else None


def _texts(value: Value) -> tuple[str, ...]:
    return value.texts if isinstance(value, Either) else () if value is None else (value,)


class Expander:
    """Expands words with the variables of one scope."""

    def __init__(self, variables: Variables, substitute: Substitute) -> None:
        self._variables = variables
        self._substitute = substitute

    def text(self, word: Word) -> Value:
        """The word as one text, without splitting: as in assignments and `case`."""
        if len(word.parts) == 1:
            return self._part(word.parts[0])
        return self._concatenated(word.parts)

    def pattern(self, word: Word) -> re.Pattern[str] | None:
        """The word as a pattern: quoted characters stand for themselves.  None when unknown."""
        text = ""
        for part in word.parts:
            value = self._part(part)
            if not isinstance(value, str):
                return None
            quoted = not isinstance(part, Arithmetic) and part.quoted
            text += re.sub(r"([*?\[\]])", r"[\1]", value).replace("[]]", "]") if quoted else value
        return re.compile(translate(text), re.DOTALL)

    def fields(self, words: Iterable[Word]) -> list[Value]:
        """Words with fields split.  An unknown unquoted expansion is one unknown field, though it may be none or many."""
        found: list[Value] = []
        for word in words:
            found += self._fields(word)
        return found

    def _fields(self, word: Word) -> list[Value]:
        if len(word.parts) <= 2 and any(isinstance(part, Parameter) and part.name == "@" for part in word.parts):
            return list(self._variables.positional)
        split = [part for part in word.parts if not isinstance(part, Literal) and not part.quoted]
        if not split:
            return [self.text(word)]
        if len(word.parts) == 1:
            value = self._part(word.parts[0])
            return [*value.split()] if isinstance(value, str) else [value]
        return self._split(word)

    def _split(self, word: Word) -> list[Value]:
        fields: list[str] = []
        current: str | None = None
        for part in word.parts:
            value = self._part(part)
            if not isinstance(value, str):
                return [None]
            if isinstance(part, Literal) or part.quoted:
                current = (current or "") + value
                continue
            pieces = value.split()
            if value[:1].isspace() and current is not None:
                fields.append(current)
                current = None
            for number, piece in enumerate(pieces):
                if number:
                    fields.append(current or "")
                    current = None
                current = (current or "") + piece
            if pieces and value[-1:].isspace() and current is not None:
                fields.append(current)
                current = None
        return [*fields, *([current] if current is not None else [])]

    def _concatenated(self, parts: Iterable[Part]) -> Value:
        value: Value = ""
        for part in parts:
            value = _joined(value, self._part(part))
        return value

    def _part(self, part: Part) -> Value:
        match part:
            case Literal():
                return part.text
            case Parameter():
                return self._parameter(part)
            case Substitution():
                return self._substitute(part.body)
            case Arithmetic():
                self.text(part.expression)
                return None

    def _parameter(self, part: Parameter) -> Value:
        value = self._variables.get(part.name)
        if not part.operator:
            return value
        if part.operator == "length":
            return str(len(value)) if isinstance(value, str) else None
        if part.operator in ("%", "%%", "#", "##"):
            return self._trimmed(value, part)
        if not isinstance(value, str):
            return None
        # Null and unset are not told apart: a script that relies on the difference gets the answer for unset.
        argument = self.text(part.argument) if part.argument else ""
        if part.operator.endswith("+"):
            return argument if value else ""
        if not value and part.operator.endswith("="):
            self._variables.values[part.name] = argument
        return value or argument

    def _trimmed(self, value: Value, part: Parameter) -> Value:
        pattern = self.pattern(part.argument) if part.argument else None
        if not isinstance(value, str) or pattern is None:
            return None
        ends = range(len(value) + 1)
        if part.operator.startswith("%"):
            order = ends if part.operator == "%%" else reversed(ends)
            return next((value[:end] for end in order if pattern.fullmatch(value[end:])), value)
        order = reversed(ends) if part.operator == "##" else ends
        return next((value[end:] for end in order if pattern.fullmatch(value[:end])), value)


def _joined(one: Value, other: Value) -> Value:
    if one is None or other is None:
        return None
    texts = dict.fromkeys(first + second for first in _texts(one) for second in _texts(other))
    if len(texts) > MAXIMUM_EITHER:
        return None
    return next(iter(texts)) if len(texts) == 1 else Either(tuple(texts))
