"""The language of `if`: comparisons of texts, joined from left to right (spec package.md §4.6)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apkiln.core.errors import ConfigurationError
from apkiln.core.origin import Origin
from apkiln.core.pattern import pattern
from apkiln.package.definition.model import Condition

MAXIMUM_DEPTH = 100
"""Parentheses inside each other."""

_SPACE = pattern(r"[ \t\r\n]*")
_ESCAPE = pattern(r"\\([\\'\"nt])")
_QUOTED = pattern(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t"}


def evaluate(condition: Condition) -> bool:
    """The truth of an expression without references; an empty one is true.

    `&&` and `||` bind equally and run from left to right, as melange has it.  Both sides are always looked at.  Raises
    ConfigurationError: `bad-condition`, `unterminated-reference` or `unknown-variable` for a reference that is left.
    """
    if not condition.text.strip():
        return True
    return _Parser(condition.text, condition.origin).run()


def is_ambiguous(condition: Condition) -> bool:
    """Whether `&&` and `||` stand side by side without parentheses, where other languages would bind `&&` tighter."""
    levels: list[set[str]] = [set()]
    for token in re.findall(r"&&|\|\||[()]", _QUOTED.sub("", condition.text)):
        if token == "(":
            levels.append(set())
        elif token == ")":
            if len(levels) > 1:
                levels.pop()
        else:
            levels[-1].add(token)
            if len(levels[-1]) == 2:
                return True
    return False


@dataclass(slots=True)
class _Parser:
    text: str
    origin: Origin
    position: int = 0
    depth: int = 0

    def run(self) -> bool:
        found = self._expression()
        self._skip()
        if self.position < len(self.text):
            raise self._error(f"unexpected `{self.text[self.position :][:20]}`")
        return found

    def _error(self, message: str, reason: str = "bad-condition") -> ConfigurationError:
        return ConfigurationError(f"condition `{self.text[:80]}`: {message}", reason=reason, origin=self.origin)

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.position)
        self.position = found.end() if found else self.position

    def _accept(self, word: str) -> bool:
        self._skip()
        found = self.text.startswith(word, self.position)
        self.position += len(word) if found else 0
        return found

    def _expression(self) -> bool:
        found = self._comparison()
        while True:
            if self._accept("&&"):
                right = self._comparison()
                found = found and right
            elif self._accept("||"):
                right = self._comparison()
                found = found or right
            else:
                return found

    def _comparison(self) -> bool:
        if self._accept("("):
            return self._parenthesis()
        left = self._value()
        for word, wanted in (("==", True), ("!=", False)):
            if self._accept(word):
                return (left == self._value()) == wanted
        raise self._error("`==` or `!=` is missing")

    def _parenthesis(self) -> bool:
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            raise self._error(f"parentheses deeper than {MAXIMUM_DEPTH}")
        found = self._expression()
        if not self._accept(")"):
            raise self._error("`)` is missing")
        self.depth -= 1
        return found

    def _value(self) -> str:
        self._skip()
        found = _QUOTED.match(self.text, self.position)
        if found is None:
            raise self._no_value()
        self.position = found.end()
        body = found[1] if found[1] is not None else found[2]
        return _ESCAPE.sub(lambda escape: _CONTROL.get(escape[1], escape[1]), body)

    def _no_value(self) -> ConfigurationError:
        rest = self.text[self.position :]
        if rest.startswith("${{"):
            name = rest[3:].partition("}")[0].strip()
            if "}}" in rest:
                return self._error(f"variable `{name}` is not defined", "unknown-variable")
            return self._error(f"unterminated variable reference `{name}`", "unterminated-reference")
        if rest[:1] in ("'", '"'):
            return self._error("a quote is not closed")
        return self._error(
            f"a text in quotes is missing before `{rest[:20]}`" if rest else "a text in quotes is missing at the end"
        )
