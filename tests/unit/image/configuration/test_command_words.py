"""Splitting of commands: a table of what apko makes of them, and laws."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apkiln.image.configuration.command_words import split_words

TABLE = {
    "a#b # c": ["a#b"],
    "#x": [],
    "# c\nd": ["d"],
    "a # c\nd": ["a", "d"],
    "a '#b' c": ["a", "#b", "c"],
    "a \\# b": ["a", "#", "b"],
    'a "b\\nc\\"d\\$e"': ["a", 'bnc"d$e'],
    'a "\\a"': ["a", "a"],
    "a\\\nb": ["a\nb"],
    "a\nb\rc\td": ["a", "b", "c", "d"],
    "a\fb": ["a\fb"],
    "a''b": ["ab"],
    "''": [""],
    '""a': ["a"],
    "a'b c'd\"e f\"g": ["ab cde fg"],
    "$(x y)": ["$(x", "y)"],
    "ü 名": ["ü", "名"],
    "": [],
}


@pytest.mark.parametrize("text", TABLE)
def test_the_words_are_those_of_apko(text: str) -> None:
    assert list(split_words(text)) == TABLE[text]


@pytest.mark.parametrize("text", ["'a\\'b'", "a \\", '"a', '"a\\', "a'"])
def test_what_is_left_open_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"closed|backslash"):
        split_words(text)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=5))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert list(split_words(shlex.join(words))) == words


@given(st.text("ab '\"\n\t", max_size=12))
def test_quotes_without_escapes_and_comments_are_those_of_the_shell(text: str) -> None:
    try:
        wanted = shlex.split(text)
    except ValueError:
        with pytest.raises(ValueError, match="closed"):
            split_words(text)
    else:
        assert list(split_words(text)) == wanted
