"""A command as text, split into words as apko splits it (spec image.md §2.1): POSIX quoting with two ways of its own.

Inside double quotes a backslash takes away the meaning of any character, not only of the shell's four; and a word that begins
with `#` starts a comment up to the end of the line.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = " \t\r\n"


def split_words(text: str) -> tuple[str, ...]:
    """The words.  ValueError where a quote or a backslash is left open."""
    words: list[str] = []
    word: list[str] | None = None
    rest = iter(text)
    for character in rest:
        if character in _SPACE:
            if word is not None:
                words.append("".join(word))
            word = None
        elif character == "#" and word is None:
            next((other for other in rest if other == "\n"), None)
        else:
            word = [] if word is None else word
            word.append(_piece(character, rest))
    return tuple(words) if word is None else (*words, "".join(word))


def _piece(character: str, rest: Iterator[str]) -> str:
    """What a character of a word stands for, with all that it quotes."""
    if character == "\\":
        return _next(rest, "a backslash stands at the end")
    if character not in "'\"":
        return character
    found: list[str] = []
    while (other := _next(rest, "a quote is not closed")) != character:
        is_escape = other == "\\" and character == '"'
        found.append(_next(rest, "a backslash stands at the end") if is_escape else other)
    return "".join(found)


def _next(rest: Iterator[str], complaint: str) -> str:
    for character in rest:
        return character
    raise ValueError(complaint)
