"""Options of commands in package scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apkiln.core.named_tuple import NamedTuple


class NotUnderstood(Exception):
    """A script does something that no rule does; the text says what, in words."""


class Options(NamedTuple):
    """A command line taken apart."""

    flags: frozenset[str]
    values: Mapping[str, str]
    operands: tuple[str, ...]

    def value(self, name: str) -> str:
        return self.values.get(name, "")


def parse(program: str, words: Sequence[str], flags: str, values: str = "", long: Mapping[str, str] | None = None) -> Options:
    """Short options as letters; `long`: long ones by the letter that they stand for.  Raises NotUnderstood for others."""
    found, given, operands = set(), dict[str, str](), list[str]()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            operands += waiting
            break
        if word.startswith("--"):
            name, equals, text = word[2:].partition("=")
            letter = (long or {}).get(name, "")
            if letter and letter in values:
                given[letter] = text if equals else _next(program, word, waiting)
            elif letter and letter in flags:
                found.add(letter)
            else:
                raise NotUnderstood(f"`{program}` with the option `{word}`")
        elif word.startswith("-") and len(word) > 1:
            _short(program, word[1:], waiting, (flags, values), found, given)
        else:
            operands.append(word)
    return Options(frozenset(found), given, tuple(operands))


def _short(
    program: str, letters: str, waiting: list[str], known: tuple[str, str], found: set[str], given: dict[str, str]
) -> None:
    flags, values = known
    for position, letter in enumerate(letters):
        if letter in values:
            given[letter] = letters[position + 1 :] or _next(program, f"-{letter}", waiting)
            return
        if letter not in flags:
            raise NotUnderstood(f"`{program}` with the option `-{letter}`")
        found.add(letter)


def _next(program: str, option: str, waiting: list[str]) -> str:
    if not waiting:
        raise NotUnderstood(f"`{program}` lacks the value of `{option}`")
    return waiting.pop(0)
